"""The file of a worker on a disk that is full; the disk is a real one."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from disks import MIB, fill, free, small_disk
from place import Place, notes

from funnel.core.event import Batch
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.link.unsaid import Unsaid
from funnel.testing.build import moved

TASK = TaskId("t")
ROOM = 8192


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 1) as mounted:
        yield mounted


def large(first: int) -> Batch:
    """More than there is room for, so that some of it is written."""
    return notes(TASK, first, "x" * 4 * ROOM)


def fill_but(disk: Path) -> Path:
    """Leave room for a part of what is `large`."""
    ballast = fill(disk)
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - ROOM)
    assert 0 < free(disk) < 4 * ROOM < MIB
    return ballast


def test_what_a_full_disk_does_not_take_is_not_in_the_file(disk: Path) -> None:
    before, between, after = (notes(TASK, number, f"note {number}") for number in (1, 2, 3))
    with closing(Unsaid(disk / "unsaid")) as unsaid:
        unsaid.keep(before)
        size = (disk / "unsaid").stat().st_size
        ballast = fill_but(disk)
        with pytest.raises(OSError, match="No space left on device"):
            unsaid.keep(large(2))
        assert (disk / "unsaid").stat().st_size == size
        unsaid.keep(between)
        ballast.unlink()
        unsaid.keep(after)
        unsaid.keep(large(4))
    with closing(Unsaid(disk / "unsaid")) as unsaid:
        assert unsaid.left() == (before, between, after, large(4))
        unsaid.forget()
        unsaid.keep(after)
    with closing(Unsaid(disk / "unsaid")) as unsaid:
        assert unsaid.left() == (after,)


async def test_on_a_full_disk_all_is_said_once(
    place: Place, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was printed and what moves the task on, also where the server is away meanwhile."""
    place.folder = disk
    task_id = await place.create()
    texts = [f"{number} " + "x" * 4 * ROOM for number in range(3)]
    running = Batch(task_id=task_id, events=(moved(task_id, State.RUNNING),), fence=1, first=2)
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            ballast = fill_but(disk)
            await link.append(notes(task_id, 1, texts[0]))
            fill(disk)
        saying = asyncio.create_task(link.append(running))
        await asyncio.sleep(0.1)
        await stack.enter_async_context(place.server())
        await saying
        ballast.unlink()
        await link.append(notes(task_id, 3, *texts[1:]))
    assert caplog.text.count("is in memory only: No space left on device") == 2
    async with place.server(), place.link(task_id) as link:
        assert (await link.progress(task_id)).heard == 4
    assert await place.said(task_id) == texts
    assert (await place.see(task_id)).state is State.RUNNING
