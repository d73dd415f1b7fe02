"""Forgetting tasks."""

from datetime import timedelta

import pytest

from funnel.core.error import Conflict, Fenced, InvalidTransition, NotFound
from funnel.core.query import Query, View
from funnel.core.state import FINAL, State
from funnel.core.task import TaskId
from funnel.core.work import Submit
from funnel.ports import Database
from funnel.testing.build import (
    EVERYONE,
    MINUTE,
    NOTHING,
    accepted,
    batch,
    created,
    feed,
    logged,
    moved,
    printed,
)
from funnel.testing.databases.outbox import settle
from funnel.testing.databases.page import page_of

NEVER = timedelta(days=365)


class RemovalSuite:
    async def test_of_a_deleted_task_nothing_is_left(self, database: Database) -> None:
        gone = await ended(database)
        await database.delete(gone)
        for view in View:
            with pytest.raises(NotFound, match=f"no task {gone}"):
                await database.get(gone, view, EVERYONE)
        for call in (database.progress(gone), database.append(batch(logged(gone, "late")))):
            with pytest.raises(NotFound):
                await call
        for query in (Query(scope=EVERYONE), Query(scope=EVERYONE, name_prefix="n")):
            assert not (await page_of(database, query)).tasks
        tagged = Query(scope=EVERYONE, tags=(("a", "b"), ("c", "")))
        assert not (await page_of(database, tagged)).tasks
        assert not any((await database.counts()).values())
        assert not await feed(database)
        with pytest.raises(NotFound):
            await database.delete(gone)

    async def test_others_stay_as_they_are(self, database: Database) -> None:
        before = [await ended(database) for _ in range(3)]
        kept = [await database.get(one, View.FULL, EVERYONE) for one in before]
        await database.delete(before[1])
        page = await page_of(database, Query(scope=EVERYONE, view=View.FULL))
        assert page.tasks == (kept[2], kept[0])

    async def test_a_walk_goes_on_where_tasks_are_deleted(self, database: Database) -> None:
        made = [await ended(database) for _ in range(6)]
        first = await page_of(database, Query(scope=EVERYONE, page_size=2))
        for one in (made[5], made[4], made[3]):
            await database.delete(one)
        rest = Query(scope=EVERYONE, page_token=first.next_page_token)
        assert [task.id for task in (await page_of(database, rest)).tasks] == made[2::-1]

    @pytest.mark.parametrize("state", [State.QUEUED, State.INITIALIZING, State.RUNNING])
    async def test_what_has_not_ended_stays(self, database: Database, state: State) -> None:
        task_id = await database.create(created())
        await database.append(batch(moved(task_id, state)))
        with pytest.raises(InvalidTransition, match=f"is {state}, .*; cancel it first"):
            await database.delete(task_id)
        assert await database.delete_ended(-NEVER, limit=9) == 0
        assert (await database.progress(task_id)).state is state

    async def test_a_key_of_a_deleted_task_makes_no_other(self, database: Database) -> None:
        first = created(name="one")
        await database.create(first, key="k")
        await database.append(batch(moved(first.task_id, State.CANCELED)))
        with pytest.raises(Conflict):
            await database.create(created(name="two"), key="k")
        await database.delete(first.task_id)
        for name in ("one", "two"):
            assert await database.create(created(name=name), key="k") == first.task_id
        assert not (await page_of(database, Query(scope=EVERYONE))).tasks

    async def test_those_that_ended_first_go_first(self, database: Database) -> None:
        made = [await database.create(created()) for _ in range(6)]
        for one, state in zip(made[4::-1], (*FINAL, State.COMPLETE), strict=True):
            await database.append(batch(moved(one, state)))
        assert await database.delete_ended(NEVER, limit=9) == 0
        assert await database.delete_ended(NOTHING, limit=2) == 2
        left = await page_of(database, Query(scope=EVERYONE))
        assert [task.id for task in left.tasks] == [made[n] for n in (5, 2, 1, 0)]
        assert await database.delete_ended(NOTHING, limit=9) == 3
        assert await database.delete_ended(NOTHING, limit=9) == 0
        assert (await database.progress(made[5])).state is State.QUEUED

    async def test_work_outlives_its_task_until_it_is_struck_off(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(moved(task_id, State.CANCELED)))
        await database.delete(task_id)
        (mine,) = await database.claim("local", limit=9, lease=NOTHING)
        (again,) = await database.claim("local", limit=9, lease=MINUTE)
        assert again.work == Submit(task_id, 1)
        with pytest.raises(Fenced):
            await settle(database, mine)
        await database.release(again, after=NOTHING)
        (last,) = await database.claim("local", limit=9, lease=NOTHING)
        await settle(database, last)
        assert not await database.claim("local", limit=9, lease=MINUTE)


async def ended(database: Database) -> TaskId:
    """A task with something of everything."""
    new = created(name="n", tags={"a": "b", "c": ""})
    task_id = await database.create(new)
    (mine,) = await database.claim("local", limit=1, lease=MINUTE)
    await settle(database, mine, batch(accepted(task_id)))
    await database.append(batch(logged(task_id, "x"), printed(task_id, "y"), fence=1, first=1))
    await database.append(batch(moved(task_id, State.COMPLETE)))
    return task_id
