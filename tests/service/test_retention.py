"""Tasks that ended long ago are forgotten, a few at a time."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from funnel.core.error import Busy
from funnel.core.query import Query
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database.sqlite import PLUGIN, Settings, SqliteDatabase
from funnel.plugins import Host
from funnel.service import retention
from funnel.service.retention import Retention
from funnel.testing.build import EPOCH, EVERYONE, batch, created, moved
from funnel.testing.databases.page import page_of

DAY = timedelta(days=1)


@asynccontextmanager
async def at(path: Path, now: datetime) -> AsyncGenerator[SqliteDatabase]:
    """The database on a later day."""
    host = Host(now=lambda: now, deployment="test")
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        yield database


async def make(database: SqliteDatabase, count: int, state: State) -> list[TaskId]:
    made = [await database.create(created()) for _ in range(count)]
    for one in made:
        await database.append(batch(moved(one, state)))
    return made


async def left(database: SqliteDatabase) -> set[TaskId]:
    page = await page_of(database, Query(scope=EVERYONE, page_size=2048))
    return {task.id for task in page.tasks}


async def test_only_what_ended_long_enough_ago_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funnel.database.clock.DAY", 365 * DAY.total_seconds())
    path = tmp_path / "funnel.db"
    async with at(path, EPOCH) as database:
        await make(database, 5, State.COMPLETE)
        running = await make(database, 2, State.RUNNING)
    async with at(path, EPOCH + 20 * DAY) as database:
        late = await make(database, 3, State.CANCELED)
        assert await Retention(database, 21 * DAY).once() == 0
        assert await Retention(database, None).once() == 0
        assert await Retention(database, 19 * DAY).once() == 5
        assert await left(database) == {*running, *late}
        await database.append(batch(moved(running[0], State.COMPLETE)))
    async with at(path, EPOCH + 30 * DAY) as database:
        assert await Retention(database, 9 * DAY).once() == 4
        assert await left(database) == {running[1]}


async def test_a_crowd_goes_in_batches_and_creates_have_their_turn(tmp_path: Path) -> None:
    async with at(tmp_path / "funnel.db", EPOCH) as database:
        await make(database, retention.BATCH * 4 + 1, State.COMPLETE)
        deleting = asyncio.create_task(Retention(database, -DAY).once())
        made = set[TaskId]()
        while not deleting.done():
            made.add(await database.create(created()))
        assert await deleting == retention.BATCH * 4 + 1
        assert await left(database) == made
        assert len(made) > 8


async def test_it_is_tried_again_after_a_refusal(
    database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await make(database, 2, State.COMPLETE)
    answers: Iterator[type[Busy] | None] = iter([Busy, None])
    over, delete_ended = asyncio.Event(), database.delete_ended

    async def busy_at_first(longer_than: timedelta, *, limit: int) -> int:
        if refusal := next(answers):
            raise refusal
        over.set()
        return await delete_ended(longer_than, limit=limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "delete_ended", busy_at_first)
        loop = asyncio.create_task(Retention(database, -DAY).forever(timedelta(0)))
        await over.wait()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    assert "stay for now: Too much is waiting" in caplog.text
