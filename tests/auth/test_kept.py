"""What is kept of a provider is fetched seldom, and outlives it."""

import asyncio

import pytest

from funnel.auth.oidc.kept import Kept
from funnel.core.error import Unavailable


class Source:
    """Counts how often it is asked, at which second, and can be away."""

    def __init__(self) -> None:
        self.second = 0.0
        self.asked: list[float] = []
        self.is_away = False
        self.go = asyncio.Event()
        self.go.set()
        self.kept = Kept(self.fetch, fresh=100, pause=10, clock=lambda: self.second)

    async def fetch(self) -> int:
        self.asked.append(self.second)
        await self.go.wait()
        if self.is_away:
            raise Unavailable("away")
        return len(self.asked)


async def test_it_is_fetched_on_first_use_and_then_kept() -> None:
    source = Source()
    assert source.asked == []
    assert [await source.kept.get() for _ in range(3)] == [1, 1, 1]


async def test_all_who_come_first_wait_for_one_fetch() -> None:
    source = Source()
    source.go.clear()
    waiting = [asyncio.create_task(source.kept.get()) for _ in range(20)]
    await asyncio.sleep(0)
    source.go.set()
    assert await asyncio.gather(*waiting) == [1] * 20


async def test_what_is_old_is_given_while_it_is_fetched_anew() -> None:
    source = Source()
    await source.kept.get()
    source.second = 101
    source.go.clear()
    assert await source.kept.get() == 1
    source.go.set()
    assert await source.kept.renewed() == 2
    assert source.asked == [0, 101]


async def test_however_often_it_is_asked_for_there_is_a_pause_between_fetches() -> None:
    source = Source()
    for second in range(35):
        source.second = second
        await source.kept.renewed()
    assert source.asked == [0, 10, 20, 30]


async def test_what_is_known_goes_on_while_the_source_is_away() -> None:
    source = Source()
    assert await source.kept.get() == 1
    source.is_away = True
    for second in (50, 150, 500):
        source.second = second
        assert await source.kept.renewed() == 1
        assert await source.kept.get() == 1


async def test_what_was_never_there_is_unavailable_and_asked_for_again_later() -> None:
    source = Source()
    source.is_away = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await source.kept.get()
    assert source.asked == [0]
    source.is_away = False
    source.second = 10
    assert await source.kept.get() == 2


async def test_who_gives_up_waiting_does_not_end_the_fetch() -> None:
    source = Source()
    source.go.clear()
    first, second = (asyncio.create_task(source.kept.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.go.set()
    assert await second == 1


async def test_closing_ends_a_fetch() -> None:
    source = Source()
    source.go.clear()
    waiting = asyncio.create_task(source.kept.get())
    await asyncio.sleep(0)
    await source.kept.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
