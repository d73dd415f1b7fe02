"""The way in for what an attempt says, over a real database that has bad days."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from attempts import Bench

from funnel.core.error import Busy, Fenced, FunnelError, InvalidTransition, Unavailable
from funnel.core.event import Batch, ExecutorExited, ExecutorStarted, Requeued
from funnel.core.fold import Progress
from funnel.core.task import TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.service.journal import MOST, Journal, sleep
from funnel.testing.build import EPOCH, MINUTE, logged


class Moody:
    """
    A database whose writes fail as the test says, after they are made or before.

    `moods` are for one write each: an error, and whether the write was made all the same.
    """

    def __init__(self, database: SqliteDatabase, moods: Sequence[tuple[Exception, bool]]) -> None:
        self.created = database.created
        self.progress = database.progress
        self._database = database
        self._moods = list(moods)

    async def append(self, batch: Batch) -> Progress:
        if not self._moods:
            return await self._database.append(batch)
        error, made = self._moods.pop(0)
        if made:
            await self._database.append(batch)
        raise error


async def no_pause(_tries: int) -> None:
    """Do not wait."""


async def journal(bench: Bench, *moods: tuple[Exception, bool]) -> tuple[Journal, TaskId]:
    task_id = await bench.create()
    before = await bench.database.progress(task_id)
    return Journal(Moody(bench.database, moods), before, pause=no_pause), task_id


async def heard(bench: Bench, task_id: TaskId) -> list[str]:
    """What was said, in the order in which it was kept."""
    lines = (await bench.see(task_id)).logs[-1].system_logs
    return [line.split("msg='")[1].split("'")[0] for line in lines]


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("error", [OSError("a cable"), TimeoutError(), Busy(), Unavailable()])
async def test_what_may_not_have_arrived_is_said_again(
    bench: Bench, error: Exception, *, made: bool
) -> None:
    said, task_id = await journal(bench, (error, made), (error, False), (error, made))
    await said.record(logged(task_id, "a"), logged(task_id, "b"))
    await said.record(logged(task_id, "c"))
    assert await heard(bench, task_id) == ["a", "b", "c"]


async def test_notes_wait_for_the_next_that_matters(bench: Bench) -> None:
    said, task_id = await journal(bench)
    await said.note(logged(task_id, "a"))
    assert await heard(bench, task_id) == []
    await said.record(logged(task_id, "b"))
    assert await heard(bench, task_id) == ["a", "b"]


async def test_many_notes_do_not_wait(bench: Bench) -> None:
    said, task_id = await journal(bench)
    for _ in range(MOST):
        await said.note(logged(task_id, "a"))
    assert len(await heard(bench, task_id)) == MOST


async def test_no_note_waits_for_ever(bench: Bench) -> None:
    said, task_id = await journal(bench)
    keeping = asyncio.create_task(said.keep_up(timedelta(milliseconds=1)))
    await said.note(logged(task_id, "a"))

    async def arrived() -> bool:
        return await heard(bench, task_id) == ["a"]

    await bench.until(arrived)
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


async def test_what_a_stop_cut_off_is_said_with_the_next(bench: Bench) -> None:
    said, task_id = await journal(bench)
    cut = asyncio.create_task(said.record(logged(task_id, "a")))
    await asyncio.sleep(0)
    cut.cancel()
    with suppress(asyncio.CancelledError):
        await cut
    await said.record(logged(task_id, "b"))
    assert await heard(bench, task_id) == ["a", "b"]


async def test_words_of_many_at_once_keep_their_order(bench: Bench) -> None:
    said, task_id = await journal(bench, (OSError(), True), (OSError(), False))
    await asyncio.gather(*(said.record(logged(task_id, str(n))) for n in range(20)))
    assert await heard(bench, task_id) == [str(n) for n in range(20)]


async def test_nothing_to_say_makes_no_commit(bench: Bench) -> None:
    said, task_id = await journal(bench)
    before = await bench.database.progress(task_id)
    await said.record()
    assert await bench.database.progress(task_id) == before


async def test_one_that_was_overtaken_is_told_so(bench: Bench) -> None:
    said, task_id = await journal(bench)
    await bench.say(Requeued(task_id, EPOCH, "try again"))
    with pytest.raises(Fenced):
        await said.record(logged(task_id, "a"))


async def test_one_whose_task_is_cancelled_is_told_so(bench: Bench) -> None:
    said, task_id = await journal(bench)
    await bench.cancel(task_id)
    with pytest.raises(InvalidTransition, match="canceled"):
        await said.record(logged(task_id, "a"))


async def test_a_refusal_is_not_tried_again(bench: Bench) -> None:
    said, task_id = await journal(bench, (FunnelError("no"), False))
    with pytest.raises(FunnelError, match="no"):
        await said.record(logged(task_id, "a"))


async def test_the_pause_between_tries_is_short_at_first() -> None:
    async with asyncio.timeout(10):
        await sleep(0)


async def test_times_never_go_back(bench: Bench) -> None:
    task_id = await bench.create()
    before = await bench.database.progress(task_id)
    said = Journal(bench.database, before, since=EPOCH + MINUTE)
    for minutes in (0, 3, 2):
        await said.note(ExecutorStarted(task_id, EPOCH + minutes * MINUTE, minutes))
    await said.record()
    started = [one.start_time for one in (await bench.see(task_id)).logs[-1].logs]
    assert started == [EPOCH + MINUTE, None, EPOCH + 3 * MINUTE, EPOCH + 3 * MINUTE]
    again = Journal(bench.database, await bench.database.progress(task_id))
    await again.record(ExecutorExited(task_id, EPOCH, 2, 0))
    assert (await bench.see(task_id)).logs[-1].logs[2].end_time == EPOCH + 3 * MINUTE
