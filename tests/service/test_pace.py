import logging
from base64 import b64encode

import pytest

from funnel.core.access import ANYONE, Caller, Kind, Operation
from funnel.core.error import Busy, Denied, Unauthenticated
from funnel.core.task import TaskId
from funnel.ports import Credentials, Identity
from funnel.service.callers import Callers
from funnel.service.pace import Pace, pace_of
from funnel.service.turnstile import MOST

ANN, BOB = Caller(name="ann"), Caller(name="bob")
WORKER = Caller(name="", kind=Kind.WORKER, task_id=TaskId("t1"), fence=1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Deaf(Identity):
    async def identify(self, credentials: Credentials) -> Caller | None:
        del credentials
        return None


class Door:
    """Knows ann by her password, and counts how often it was asked."""

    challenge = "Basic"
    login = None
    asked = 0

    async def identify(self, credentials: Credentials) -> Caller | None:
        self.asked += 1
        if not credentials.authorization:
            return None
        if credentials == bearer("right", credentials.peer):
            return Caller(name="token")
        if credentials == shown("ann", "right", credentials.peer):
            return ANN
        raise Unauthenticated("wrong")


def shown(user: str, password: str, peer: str = "192.0.2.1") -> Credentials:
    said = b64encode(f"{user}:{password}".encode()).decode()
    return Credentials(headers={"authorization": f"Basic {said}"}, peer=peer)


def bearer(token: str, peer: str = "192.0.2.1") -> Credentials:
    return Credentials(headers={"authorization": f"Bearer {token}"}, peer=peer)


async def wrong(callers: Callers, credentials: Credentials, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            await callers.caller_of(credentials)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def callers(door: Door, clock: Clock) -> Callers:
    return Callers([door], pace=Pace(clock=clock))


async def test_after_ten_wrong_passwords_in_a_minute_not_even_the_right_one_counts(
    callers: Callers, door: Door, clock: Clock
) -> None:
    await wrong(callers, shown("ann", "guess"), 10)
    asked = door.asked
    with pytest.raises(Busy, match="too many wrong logins; try again in 6 s") as refused:
        await callers.caller_of(shown("ann", "right"))
    assert 5 < refused.value.retry_after <= 6
    assert door.asked == asked
    clock.now = 6.01
    assert await callers.caller_of(shown("ann", "right")) == ANN


async def test_over_a_day_no_more_than_ten_a_minute_are_tried(
    callers: Callers, door: Door, clock: Clock
) -> None:
    for second in range(0, 24 * 3600, 2):
        clock.now = float(second)
        with pytest.raises((Unauthenticated, Busy)):
            await callers.caller_of(shown("ann", str(second)))
    assert door.asked <= 24 * 60 * 10 + 10


@pytest.mark.parametrize(
    "other",
    [
        shown("ann", "right", "192.0.2.2"),
        shown("ann", "right", "2001:db8:1:3::1"),
    ],
)
async def test_a_guesser_stops_nobody_at_another_address(
    callers: Callers, other: Credentials
) -> None:
    await wrong(callers, shown("ann", "guess"), 10)
    await wrong(callers, shown("ann", "guess", "2001:db8:1:2::1"), 10)
    assert await callers.caller_of(other) == ANN


async def test_the_addresses_of_one_network_count_together(callers: Callers) -> None:
    for number in range(10):
        await wrong(callers, shown("ann", "guess", f"2001:db8:1:2::{number}"), 1)
    with pytest.raises(Busy):
        await callers.caller_of(shown("ann", "right", "2001:db8:1:2:3::4"))


async def test_a_guesser_of_one_user_stops_no_other_at_the_same_address(callers: Callers) -> None:
    await wrong(callers, shown("bob", "guess"), 10)
    assert await callers.caller_of(shown("ann", "right")) == ANN


async def test_who_guesses_at_many_users_is_stopped_at_that_address(
    callers: Callers, door: Door, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "funnel.audit")
    for number in range(60):
        await wrong(callers, shown(f"user {number}", "guess", f"2001:db8:1:2::{number}"), 1)
    asked = door.asked
    with pytest.raises(Busy, match="from this address; try again in 1 s") as refused:
        await callers.caller_of(shown("ann", "right", "2001:db8:1:2::ffff"))
    assert 0 < refused.value.retry_after <= 1
    assert door.asked == asked
    assert caplog.messages[-1] == "logins stopped peer=2001:db8:1:2::59"
    assert await callers.caller_of(shown("ann", "right", "2001:db8:1:3::1")) == ANN
    clock.now = 1.01
    assert await callers.caller_of(shown("ann", "right", "2001:db8:1:2::ffff")) == ANN


async def test_who_was_right_at_an_address_is_not_stopped_by_who_guesses_there(
    callers: Callers,
) -> None:
    assert await callers.caller_of(shown("ann", "right")) == ANN
    for number in range(60):
        await wrong(callers, shown(f"user {number}", "guess"), 1)
    assert await callers.caller_of(shown("ann", "right")) == ANN
    with pytest.raises(Busy):
        await callers.caller_of(shown("bob", "right"))
    assert (await callers.caller_of(bearer("right"))).name == "token"


async def test_what_no_account_understands_is_said_and_written_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "funnel.audit")
    callers = Callers([Deaf()])
    with pytest.raises(Unauthenticated, match="of no kind that this server takes"):
        await callers.caller_of(bearer("junk"))
    with pytest.raises(Unauthenticated, match="authorization token missing"):
        await callers.caller_of(Credentials())
    assert caplog.messages == [
        "login refused peer=192.0.2.1 why='the authorization is of no kind that this server takes'"
    ]


async def test_a_token_that_is_over_stops_itself_and_nobody_else(
    callers: Callers, door: Door
) -> None:
    await wrong(callers, bearer("over"), 10)
    asked = door.asked
    with pytest.raises(Busy):
        await callers.caller_of(bearer("over"))
    assert door.asked == asked
    await wrong(callers, bearer("another"), 1)
    assert await callers.caller_of(shown("ann", "right")) == ANN


async def test_wrong_tokens_make_no_wrong_password_forgotten(callers: Callers) -> None:
    await wrong(callers, shown("ann", "guess"), 10)
    for number in range(MOST + 1):
        await wrong(callers, bearer(f"junk {number}"), 1)
    with pytest.raises(Busy):
        await callers.caller_of(shown("ann", "right"))


async def test_who_says_nothing_has_guessed_nothing(callers: Callers) -> None:
    await wrong(callers, Credentials(peer="192.0.2.1"), 30)
    assert await callers.caller_of(shown("ann", "right")) == ANN


async def test_wrong_logins_are_written_down_without_what_was_tried(
    callers: Callers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "funnel.audit")
    await wrong(callers, shown("x' y\r\n2026 INFO", "swordfish"), 10)
    await wrong(callers, bearer("swordfish"), 1)
    with pytest.raises(Busy):
        await callers.caller_of(shown("x' y\r\n2026 INFO", "swordfish"))
    written = [one.getMessage() for one in caplog.records]
    one = r"""login refused user="x' y\r\n2026 INFO" peer=192.0.2.1 why=wrong"""
    assert written[:10] == [one] * 10
    assert written[10:] == [
        r"""logins stopped user="x' y\r\n2026 INFO" peer=192.0.2.1""",
        "login refused peer=192.0.2.1 why=wrong",
    ]
    assert "swordfish" not in caplog.text


async def test_who_may_never_do_something_is_written_down(caplog: pytest.LogCaptureFixture) -> None:
    callers = Callers([Door()])
    with caplog.at_level(logging.INFO, "funnel.audit"), pytest.raises(Denied):
        await callers.let_in(shown("ann", "right"), Operation.DELETE_TASK)
    (said,) = [one.getMessage() for one in caplog.records]
    assert said == (
        "refused user=ann kind=user peer=192.0.2.1 why='only administrators may delete a task'"
    )


def calls(pace: Pace, caller: Caller, *, peer: str = "", operation: Operation) -> int:
    """How many get through at once."""
    for number in range(1000):
        try:
            pace.count(caller, operation, peer)
        except Busy:
            return number
    return 1000


def test_each_user_has_calls_and_creates_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    assert calls(pace, ANN, operation=Operation.CREATE_TASK) == 1000
    pace = pace_of(5, 2)
    with caplog.at_level(logging.INFO, "funnel.audit"):
        assert calls(pace, ANN, operation=Operation.CREATE_TASK) == 20
        assert calls(pace, ANN, operation=Operation.GET_TASK) in {29, 30}
        assert calls(pace, BOB, operation=Operation.GET_TASK) == 50
    assert [one.getMessage() for one in caplog.records] == [
        "limit reached limit=creates user=ann",
        "limit reached limit=calls user=ann",
        "limit reached limit=calls user=bob",
    ]


def test_without_accounts_each_address_is_a_user() -> None:
    pace = pace_of(0, 1)
    assert calls(pace, ANYONE, peer="192.0.2.1", operation=Operation.CREATE_TASK) == 10
    assert calls(pace, ANYONE, peer="192.0.2.2", operation=Operation.CREATE_TASK) == 10
    assert calls(pace, ANYONE, peer="::ffff:192.0.2.2", operation=Operation.CREATE_TASK) == 0


def test_workers_are_no_users() -> None:
    assert calls(pace_of(1, 1), WORKER, operation=Operation.WORK) == 1000


def test_a_slow_rate_lets_one_through() -> None:
    assert calls(pace_of(0.01, 0), ANN, operation=Operation.GET_TASK) == 1
