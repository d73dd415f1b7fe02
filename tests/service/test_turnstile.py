from hypothesis import given
from hypothesis import strategies as st

from funnel.core.rate import Rate
from funnel.service.turnstile import Turnstile


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def turnstile(clock: Clock, most: int = 100) -> Turnstile:
    return Turnstile(Rate(1, burst=2), clock, most)


def test_one_does_not_wait_for_another() -> None:
    gate = turnstile(Clock())
    told = [gate.count("ann") for _ in range(4)]
    assert told == [False, True, False, False]
    assert gate.wait("ann") == 3
    assert gate.wait("bob") == 0


def test_it_is_told_anew_after_a_pause() -> None:
    clock = Clock()
    gate = turnstile(clock)
    assert [gate.count("ann") for _ in range(2)] == [False, True]
    clock.now = 1.5
    assert gate.wait("ann") == 0
    assert gate.count("ann")


@given(st.lists(st.integers(0, 50), max_size=300))
def test_as_many_are_known_as_there_is_room_for(callers: list[int]) -> None:
    gate = Turnstile(Rate(1, burst=1), Clock(), most=5)
    for one in callers:
        gate.count(str(one))
    assert len([one for one in set(callers) if gate.wait(str(one))]) == min(5, len(set(callers)))


def test_who_was_quiet_for_longest_is_forgotten() -> None:
    gate = turnstile(Clock(), most=2)
    for one in ("ann", "ann", "bob", "bob", "ann", "cat"):
        gate.count(one)
    assert gate.wait("ann") > 0
    assert gate.wait("bob") == 0
