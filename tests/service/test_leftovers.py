"""Files of attempts that are over do not outlive the next start of the server."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from attempts import Bench, left, step, stopped
from running import until

from funnel.core.event import Requeued
from funnel.core.task import TaskId
from funnel.service.leftovers import clear_forever, clear_leftovers
from funnel.service.workplace import Owner
from funnel.testing.build import EPOCH


def made(bench: Bench, task_id: TaskId, fence: int = 1) -> Path:
    folder = bench.work / task_id / str(fence)
    (folder / "root" / "out").mkdir(parents=True)
    (folder / "root" / "out" / "file").touch()
    return folder


async def test_attempts_that_are_over_leave_nothing(bench: Bench) -> None:
    over, running = await bench.create(step("hello")), await bench.create(step("hello"))
    for one in (over, running):
        made(bench, one)
    await bench.cancel(over)
    await clear_leftovers(bench.worker())
    assert left(bench.work) == [bench.work / running]


async def test_no_empty_directory_is_left_of_a_task_that_is_over(bench: Bench) -> None:
    """As a worker leaves it that dies between its attempt's directory and the task's."""
    over, running = await bench.create(step("hello")), await bench.create(step("hello"))
    for one in (over, running):
        (bench.work / one).mkdir(parents=True)
    await bench.cancel(over)
    await clear_leftovers(bench.worker())
    assert left(bench.work) == [bench.work / running]


async def test_an_old_attempt_is_over_when_there_is_a_new_one(bench: Bench) -> None:
    task_id = await bench.create(step("hello"))
    await bench.say(Requeued(task_id, EPOCH, "try again"))
    made(bench, task_id, 1)
    kept = made(bench, task_id, 2)
    await clear_leftovers(bench.worker())
    assert left(bench.work / task_id) == [kept]


async def test_later_only_what_was_over_before_is_removed(bench: Bench) -> None:
    first, second = await bench.create(step("hello")), await bench.create(step("hello"))
    for one in (first, second):
        made(bench, one)
    await bench.cancel(first)
    over = await clear_leftovers(bench.worker(), among=())
    await bench.cancel(second)
    assert set(await clear_leftovers(bench.worker(), among=over)) == {(first, 1), (second, 1)}
    assert left(bench.work) == [bench.work / second]


async def test_clearing_goes_on(bench: Bench) -> None:
    clearing = asyncio.create_task(clear_forever(bench.worker(), timedelta(seconds=0.01)))
    for _ in range(2):
        task_id = await bench.create(step("hello"))
        made(bench, task_id)
        await bench.cancel(task_id)
        await asyncio.to_thread(until, lambda: not left(bench.work))
    clearing.cancel()
    await asyncio.gather(clearing, return_exceptions=True)


async def test_what_is_not_ours_stays(bench: Bench) -> None:
    kept = made(bench, TaskId("unknown"))
    (bench.work / "funnel.db").touch()
    (bench.work / "notes").mkdir()
    await clear_leftovers(bench.worker())
    assert (kept / "root" / "out" / "file").exists()
    assert len(left(bench.work)) == 3


async def test_a_task_that_was_deleted_meanwhile_leaves_nothing(bench: Bench) -> None:
    """Its worker was stopped with its server, and did not hear of the cancel any more."""
    task_id = await bench.create(step("stay"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await stopped(work)
    await bench.cancel(task_id)
    await bench.database.delete(task_id)
    await clear_leftovers(bench.worker())
    assert left(bench.work) == []
    assert not await bench.containers(task_id)


async def test_a_task_of_somebody_else_in_the_same_place_stays(bench: Bench) -> None:
    """As of `funnel worker run`."""
    place = bench.worker().place(TaskId("unknown"), 1)
    place.make(Owner("another", "alpine"))
    await clear_leftovers(bench.worker())
    assert place.private.exists()


async def test_files_that_shall_be_left_are_left(bench: Bench) -> None:
    bench.settings["leave_work_dir"] = True
    task_id = await bench.create(step("hello"))
    kept = made(bench, task_id)
    await bench.cancel(task_id)
    await clear_leftovers(bench.worker())
    assert kept.exists()


async def test_no_work_directory_is_no_fault(bench: Bench) -> None:
    await clear_leftovers(bench.worker())
    assert left(bench.work) == []


async def test_a_directory_that_cannot_be_read_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Path) -> bool:
        raise PermissionError("not for you")

    monkeypatch.setattr(Path, "is_dir", broken)
    await clear_leftovers(bench.worker())
    assert "not for you" in caplog.text
