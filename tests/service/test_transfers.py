"""Moving many files: how many at once, and what is said meanwhile."""

import asyncio
from collections.abc import Mapping

import pytest

from funnel.core.error import Unavailable
from funnel.core.event import Level
from funnel.ports import Share
from funnel.service.budget import Budget
from funnel.service.transfers import Transfers
from funnel.storage.memory import MemoryStorage


class Notes:
    def __init__(self) -> None:
        self.fields = list[Mapping[str, str]]()
        self.nearly = asyncio.Event()

    async def note(self, _level: Level, _message: str, fields: Mapping[str, str]) -> None:
        self.fields.append(fields)
        if fields["files"] == "2 of 3":
            self.nearly.set()


def moving(notes: Notes) -> Transfers:
    return Transfers(MemoryStorage(), notes.note, 2, Budget(), every=0.02)


async def test_how_far_it_is_is_said_now_and_then() -> None:
    notes = Notes()

    async def move(size: int, share: Share) -> None:
        share.moved(size)
        if size == 3:
            await notes.nearly.wait()

    await moving(notes).abreast(move, [1, 2, 3])
    assert {"files": "2 of 3", "size": "6"}.items() <= notes.fields[-1].items()
    assert notes.fields[-1]["rate"].endswith(" MB/s")


async def test_the_first_failure_stops_the_rest() -> None:
    moved = list[int]()

    async def move(number: int, share: Share) -> None:
        del share
        if number == 1:
            raise Unavailable("the store is away")
        await asyncio.sleep(0.01)
        moved.append(number)

    with pytest.raises(Unavailable, match="away"):
        await moving(Notes()).abreast(move, range(10))
    assert len(moved) <= 1


async def test_nothing_to_move_is_nothing_to_say() -> None:
    async def move(_one: str, _share: Share) -> None:
        raise AssertionError

    notes = Notes()
    await moving(notes).abreast(move, [])
    assert notes.fields == []
