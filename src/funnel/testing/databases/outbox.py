"""Work for the outside."""

import asyncio
from datetime import timedelta

import pytest

from funnel.core.error import Fenced, InvalidTransition
from funnel.core.event import Batch, Requeued
from funnel.core.state import State
from funnel.core.work import Cancel, Claim, Done, Submit
from funnel.ports import Database
from funnel.testing.build import EPOCH, MINUTE, NOTHING, accepted, batch, created, logged, moved


class OutboxSuite:
    async def test_work_is_claimed_by_one_and_oldest_first(self, database: Database) -> None:
        made = [await database.create(created()) for _ in range(6)]
        claimed = await asyncio.gather(*(claim(database, limit=4) for _ in range(3)))
        assert [one.work for some in claimed for one in some] == [Submit(i, 1) for i in made]

    async def test_queues_are_apart(self, database: Database) -> None:
        task_id = await database.create(created(queue="slurm"))
        assert not await claim(database)
        (one,) = await database.claim("slurm", limit=9, lease=MINUTE)
        assert one.work == Submit(task_id, 1)

    async def test_late_work_is_fenced(self, database: Database) -> None:
        task_id = await database.create(created())
        (old,) = await claim(database, lease=NOTHING)
        (new,) = await claim(database)
        with pytest.raises(Fenced):
            await settle(database, old, batch(accepted(task_id)))
        assert (await database.progress(task_id)).version == 1
        await settle(database, new, batch(accepted(task_id)))
        assert (await database.progress(task_id)).native_id == "job-1"
        with pytest.raises(Fenced):
            await settle(database, new, batch(accepted(task_id)))

    async def test_a_refused_batch_strikes_nothing_off(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(moved(task_id, State.COMPLETE)))
        (mine,) = await claim(database)
        with pytest.raises(InvalidTransition):
            await settle(database, mine, batch(moved(task_id, State.RUNNING)))
        await settle(database, mine, batch(logged(task_id, "too late to submit")))

    async def test_work_that_is_done_does_not_come_back(self, database: Database) -> None:
        task_id = await database.create(created())
        (mine,) = await claim(database, lease=NOTHING)
        await settle(database, mine, batch(accepted(task_id)))
        await database.release(mine, after=NOTHING)
        assert not await claim(database)

    async def test_released_work_comes_back(self, database: Database) -> None:
        await database.create(created())
        (mine,) = await claim(database)
        assert not await claim(database)
        await database.release(mine, after=NOTHING)
        (again,) = await claim(database)
        assert (again.work, again.tries) == (mine.work, 2)
        await database.release(mine, after=NOTHING)
        assert not await claim(database)

    async def test_work_released_for_later_is_not_due_now(self, database: Database) -> None:
        await database.create(created())
        (mine,) = await claim(database)
        await database.release(mine, after=MINUTE)
        assert not await claim(database)

    async def test_canceling_causes_work(self, database: Database) -> None:
        task_id = await database.create(created())
        (mine,) = await claim(database)
        await settle(database, mine, batch(accepted(task_id)))
        await database.append(batch(moved(task_id, State.CANCELED)))
        await database.append(batch(moved(task_id, State.CANCELED)))
        assert [one.work for one in await claim(database)] == [Cancel(task_id, 1, "job-1")]

    async def test_a_new_attempt_stops_the_old_one(self, database: Database) -> None:
        task_id = await database.create(created())
        (mine,) = await claim(database)
        await settle(database, mine, batch(accepted(task_id)))
        await database.append(batch(Requeued(task_id, EPOCH, "lost"), fence=1))
        work = [one.work for one in await claim(database)]
        assert work == [Cancel(task_id, 1, "job-1"), Submit(task_id, 2)]

    async def test_a_new_attempt_waits_for_its_pause(self, database: Database) -> None:
        task_id, soon = await database.create(created()), await database.create(created())
        await claim(database)
        await database.append(batch(Requeued(task_id, EPOCH, "lost", 60.0)))
        await database.append(batch(Requeued(soon, EPOCH, "lost", 0.0)))
        assert [one.work for one in await claim(database)] == [Submit(soon, 2)]

    async def test_a_commit_wakes_who_waits(self, database: Database) -> None:
        seen = await database.wait(-1, within=NOTHING)
        waiting = asyncio.ensure_future(database.wait(seen, within=MINUTE))
        await database.create(created())
        seen = await waiting
        await claim(database, limit=0)
        assert await database.wait(seen, within=NOTHING) == seen


async def claim(database: Database, *, limit: int = 9, lease: timedelta = MINUTE) -> list[Claim]:
    return [*await database.claim("local", limit=limit, lease=lease)]


async def settle(database: Database, claim: Claim, facts: Batch | None = None) -> None:
    """Settle one, and raise what keeps it from being settled."""
    (refusal,) = await database.settle([Done(claim, facts)])
    if refusal:
        raise refusal
