"""Waiting for news of tasks, on a real database."""

import asyncio

import pytest

from funnel.core.error import Busy
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.service.hub import ALL, Hub, Watcher
from funnel.testing.build import batch, created, moved

LONG = 30.0


async def test_a_commit_wakes_those_who_watch_its_task_and_no_other(
    database: SqliteDatabase,
) -> None:
    hub = Hub(database)
    mine, other = [await database.create(created()) for _ in range(2)]
    with (
        hub.watch(mine) as one,
        hub.watch(mine) as two,
        hub.watch(ALL) as everything,
        hub.watch(other) as unconcerned,
    ):
        await database.append(batch(moved(mine, State.RUNNING)))
        woken = await asyncio.gather(*(watch.news(LONG) for watch in (one, two, everything)))
        assert woken == [True] * 3
        assert not await unconcerned.news(0)
    assert hub.waiting == 0


async def test_news_between_a_look_and_the_wait_is_not_missed(database: SqliteDatabase) -> None:
    hub = Hub(database)
    task_id = await database.create(created())
    with hub.watch(task_id) as watch:
        await database.append(batch(moved(task_id, State.RUNNING)))
        await database.append(batch(moved(task_id, State.COMPLETE)))
        assert await watch.news(LONG)
        assert not await watch.news(0)


async def test_what_watches_is_forgotten_when_it_ends(database: SqliteDatabase) -> None:
    hub = Hub(database, most=2)

    async def wait(task_id: TaskId) -> bool:
        with hub.watch(task_id) as watch:
            return await watch.news(LONG)

    waiting = [asyncio.create_task(wait(TaskId(name))) for name in "ab"]
    await asyncio.sleep(0)
    assert hub.waiting == 2
    with pytest.raises(Busy, match="2 requests wait for news already"), hub.watch(TaskId("c")):
        pass
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert hub.waiting == 0
    with hub.watch(TaskId("c")):
        assert hub.waiting == 1


async def test_fewer_may_watch_all_tasks_than_one(database: SqliteDatabase) -> None:
    hub = Hub(database, most_of_all=1)
    with (
        hub.watch(ALL),
        hub.watch(TaskId("a")),
        hub.watch(TaskId("a")),
        pytest.raises(Busy),
        hub.watch(ALL),
    ):
        pass


async def test_the_end_wakes_everybody_and_keeps_nobody_waiting(database: SqliteDatabase) -> None:
    hub = Hub(database)

    async def over(watch: Watcher) -> bool:
        return not await watch.news(LONG) and watch.over

    with hub.watch(TaskId("a")) as one, hub.watch(ALL) as two:
        waiting = asyncio.gather(over(one), over(two))
        await asyncio.sleep(0)
        hub.close()
        assert await waiting == [True, True]
    with hub.watch(TaskId("a")) as late:
        assert await over(late)
