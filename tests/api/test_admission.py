"""Turns and room are given out, given back, and never lost."""

import asyncio

import pytest

from funnel.api.admission import Admission, Room
from funnel.core.error import Busy


async def hold(admission: Admission, begun: asyncio.Event, over: asyncio.Event) -> None:
    async with admission:
        begun.set()
        await over.wait()


async def test_who_has_no_turn_in_time_is_turned_away_and_the_others_go_on() -> None:
    admission = Admission(1, 0.05)
    begun, over = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(admission, begun, over))
    await begun.wait()
    with pytest.raises(Busy):
        async with admission:
            pass
    over.set()
    await first
    async with admission:
        pass


async def test_turns_come_in_order() -> None:
    admission, order = Admission(1, 10), list[int]()

    async def one(number: int) -> None:
        async with admission:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_turn_of_who_has_gone_is_the_next_ones() -> None:
    admission = Admission(1, 10)
    served, over = asyncio.Event(), asyncio.Event()
    over.set()
    async with admission:
        gone = asyncio.create_task(hold(admission, asyncio.Event(), over))
        last = asyncio.create_task(hold(admission, served, over))
        await asyncio.sleep(0)
    # Its turn has come, and it has not gone on yet.
    gone.cancel()
    await asyncio.wait_for(served.wait(), 5)
    await last
    assert gone.cancelled()


def test_room_is_for_as_many_bytes_as_there_are() -> None:
    room = Room(10)
    room.take(10)
    with pytest.raises(Busy):
        room.take(1)
    room.give_back(1)
    room.take(1)
