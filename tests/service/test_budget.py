"""Connections and memory are never exceeded, never lost, and shared fairly."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from funnel.service.budget import Budget, FairShare


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_connections_are_held_than_there_are() -> None:
    budget, now, most = Budget(connections=3), 0, 0

    async def work(share: FairShare) -> None:
        nonlocal now, most
        async with share.place(1):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(work(budget.share()) for _ in range(20)))
    assert most == 3


async def test_no_more_memory_is_held_than_there_is() -> None:
    budget = Budget(memory=10)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(budget.share().place(7))
        waiting = asyncio.create_task(stack.enter_async_context(budget.share().place(4)))
        await settled()
        assert not waiting.done()
        waiting.cancel()
    async with budget.share().place(4):
        pass


async def test_a_wish_for_more_than_there_is_gets_all_of_it() -> None:
    async with Budget(memory=10).share().place(1 << 40):
        pass


async def test_who_holds_the_fewest_connections_is_next() -> None:
    budget, served = Budget(connections=2), list[str]()
    greedy, modest = budget.share(), budget.share()

    async def work(name: str, share: FairShare) -> None:
        async with share.place(1):
            served.append(name)
            await asyncio.sleep(0.001)

    many = [work("greedy", greedy) for _ in range(10)]
    await asyncio.gather(*many, work("modest", modest))
    assert served.index("modest") == 2


async def test_spare_ones_are_those_that_nobody_waits_for() -> None:
    budget = Budget(connections=3)
    share = budget.share()
    async with share.place(1), share.spare(5, 1) as spare:
        assert spare == 2
        waiting = asyncio.create_task(share.place(1).__aenter__())
        await settled()
        async with budget.share().spare(1, 1) as more:
            assert more == 0
        waiting.cancel()
    assert share.held == 0


async def test_who_is_cancelled_with_a_place_in_hand_gives_it_back() -> None:
    budget = Budget(connections=1)
    first = budget.share().place(1)
    await first.__aenter__()
    waiting = asyncio.create_task(budget.share().place(1).__aenter__())
    await settled()
    await first.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1), budget.share().place(1):
        pass


async def test_what_is_moved_is_heard() -> None:
    heard = list[int]()
    Budget().share(heard.append).moved(7)
    assert heard == [7]
