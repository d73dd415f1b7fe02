import asyncio

import pytest

from funnel.core.error import Unavailable
from funnel.runtime.shared import Shared


class Work:
    """Something slow that may be let go, and counts how often it began and was stopped."""

    def __init__(self) -> None:
        self.began = 0
        self.stopped = 0
        self.go = asyncio.Event()
        self.at_work = asyncio.Event()

    async def __call__(self) -> int:
        self.began += 1
        self.at_work.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return self.began


async def test_calls_at_one_time_share_one_run_and_later_ones_do_not() -> None:
    shared, work = Shared[str, int](), Work()
    calls = [asyncio.create_task(shared.run("a", work)) for _ in range(3)]
    await work.at_work.wait()
    work.go.set()
    assert await asyncio.gather(*calls) == [1, 1, 1]
    assert await shared.run("a", work) == 2


async def test_who_gives_up_does_not_spoil_it_for_the_others() -> None:
    shared, work = Shared[str, int](), Work()
    first, second = (asyncio.create_task(shared.run("a", work)) for _ in range(2))
    await work.at_work.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()
    assert await second == 1
    assert work.stopped == 0


async def test_the_last_to_give_up_stops_it_and_the_next_begins_anew() -> None:
    shared, work = Shared[str, int](), Work()
    calls = [asyncio.create_task(shared.run("a", work)) for _ in range(2)]
    await work.at_work.wait()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    work.go.set()
    assert await shared.run("a", work) == 2
    assert work.stopped == 1


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    shared = Shared[str, int]()
    work = Work()

    async def fail() -> int:
        await work.go.wait()
        raise Unavailable("no")

    calls = [asyncio.create_task(shared.run("a", fail)) for _ in range(2)]
    work.go.set()
    for end in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(end, Unavailable)
    assert await shared.run("a", work) == 1
