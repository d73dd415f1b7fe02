"""Who looks on hears of tries, and does not wait long for nobody."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from funnel.core.error import Unavailable
from funnel.storage import patience
from funnel.storage.patience import Onlooker, Patience

QUICK = Patience(tries=6, first=0.0, longest=0.0)
REFUSED = ConnectionRefusedError(111, "Connect call failed")
UNKNOWN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
BUSY = None


@dataclass
class Script:
    """What a store does, one cause of a failure after another, and what is told of it."""

    causes: list[OSError | None]
    now: float = 0.0
    told: list[str] = field(default_factory=list[str])
    tries: int = 0
    seconds: float = 3.0
    """That a try takes."""

    def __post_init__(self) -> None:
        self.onlooker = Onlooker(self.told.append, lambda: self.now)

    async def once(self) -> str:
        await asyncio.sleep(0)
        self.tries += 1
        self.now += self.seconds
        if self.causes:
            raise Unavailable("s3://a: away") from self.causes.pop(0)
        return "done"

    async def run(self, deed: Callable[[], Awaitable[str]] | None = None) -> str:
        return await QUICK.persist(deed or self.once, lambda: 0)


@pytest.mark.parametrize("cause", [REFUSED, UNKNOWN])
async def test_a_person_does_not_wait_long_for_nobody(cause: OSError) -> None:
    script = Script([cause] * 9)
    with script.onlooker.looking_on(), pytest.raises(Unavailable, match="that was try 5, the last"):
        await script.run()
    assert script.told == [
        "s3://a: away; trying again for 10 s at most",
        "s3://a: away; trying again for 4 s at most",
    ]


async def test_the_next_call_is_not_waited_for_either() -> None:
    script = Script([REFUSED] * 9)
    with script.onlooker.looking_on():
        for last in (5, 1):
            with pytest.raises(Unavailable, match=f"that was try {last}, the last"):
                await script.run()


async def test_a_cause_may_lie_deeper() -> None:
    script = Script([])

    async def deeper() -> str:
        script.causes = [REFUSED]
        try:
            return await script.once()
        except Unavailable as error:
            raise Unavailable("s3://a: no login") from error

    with script.onlooker.looking_on(), pytest.raises(Unavailable, match="try 5, the last"):
        await script.run(deeper)


async def test_who_has_answered_may_be_away_for_long() -> None:
    script = Script([])
    with script.onlooker.looking_on():
        assert await script.run() == "done"
        script.causes = [REFUSED] * 5
        assert await script.run() == "done"
    assert script.told == ["s3://a: away; trying again"] * 3


async def test_who_has_answered_with_a_failure_may_be_away_for_long_too() -> None:
    script = Script([REFUSED, BUSY, REFUSED, REFUSED, REFUSED])
    with script.onlooker.looking_on():
        assert await script.run() == "done"


async def test_what_comes_back_soon_is_waited_for() -> None:
    script = Script([REFUSED] * 3)
    with script.onlooker.looking_on():
        assert await script.run() == "done"


async def test_where_nobody_looks_on_all_tries_count() -> None:
    script = Script([REFUSED] * 9)
    with script.onlooker.looking_on():
        pass
    with pytest.raises(Unavailable, match="that was try 6, the last"):
        await script.run()
    assert script.told == []


async def test_a_person_is_not_told_often() -> None:
    script = Script([BUSY] * 5, seconds=0.1)
    with script.onlooker.looking_on():
        assert await script.run() == "done"
    assert len(script.told) == 1


async def test_what_would_be_too_late_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SOON", 1.0)
    script = Script([REFUSED] * 9, seconds=0.0)
    with script.onlooker.looking_on(), pytest.raises(Unavailable, match="try 1, the last"):
        await Patience(first=3600.0, longest=3600.0).persist(script.once, lambda: 0)
    assert script.told == []
