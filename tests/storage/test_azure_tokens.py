"""Tokens for Azure, and what becomes of them while nobody gives new ones."""

from datetime import UTC, datetime, timedelta

import pytest

from funnel.core.error import Unavailable
from funnel.storage.azure.identity import EARLY, SOON, Shown, Surroundings, Token
from funnel.storage.azure.settings import AzureAccount

LASTS = timedelta(hours=1)
ONE, TWO = (Shown(token=text) for text in ("one", "two"))


class Machine:
    """Offers a token that lasts an hour, or as long as it is busy says so, or nothing."""

    def __init__(self) -> None:
        self.time = datetime(2020, 1, 1, tzinfo=UTC)
        self.says: str | None = "one"
        self.asked = 0

    def now(self) -> datetime:
        return self.time

    async def token(self) -> Token | None:
        self.asked += 1
        if self.says == "busy":
            raise Unavailable("busy")
        return Token(self.says, (self.time + LASTS).timestamp()) if self.says else None


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def who(machine: Machine) -> Surroundings:
    return Surroundings([machine.token], AzureAccount(account="a"), machine.now)


@pytest.mark.parametrize("says", ["busy", None])
async def test_a_token_serves_as_long_as_it_lasts(
    machine: Machine, who: Surroundings, says: str | None
) -> None:
    assert await who.shown() == ONE
    machine.says, machine.time = says, machine.time + LASTS - timedelta(seconds=EARLY)
    for _ in range(2):
        assert await who.shown() == ONE
    assert machine.asked == 2
    machine.time += timedelta(seconds=SOON)
    machine.says = "two"
    assert await who.shown() == TWO
    assert machine.asked == 3


@pytest.mark.parametrize("says", ["busy", None])
async def test_who_had_a_token_is_not_nobody_when_that_is_over(
    machine: Machine, who: Surroundings, says: str | None
) -> None:
    first = await who.shown()
    machine.says = says
    with pytest.raises(Unavailable):
        await who.another(first)
    machine.time += LASTS
    with pytest.raises(Unavailable):
        await who.shown()
    machine.says = "two"
    assert await who.shown() == TWO


async def test_a_machine_that_knows_nobody_is_asked_now_and_then(
    machine: Machine, who: Surroundings
) -> None:
    machine.says = None
    for _ in range(3):
        assert (await who.shown()).is_nobody
    assert machine.asked == 1
