"""What watchers of tasks read, and how they are woken."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.error import InvalidTransition
from funnel.core.event import Created, ExecutorStarted, Requeued, StateChanged
from funnel.core.output import Place
from funnel.core.query import Scope
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH, EVERYONE, batch, created, feed, logged, moved, printed


class LiveSuite:
    async def test_a_commit_tells_which_tasks_it_changed(self, database: Database) -> None:
        told: list[TaskId] = []
        news = asyncio.Event()

        def heard(changed: Sequence[TaskId]) -> None:
            told.extend(changed)
            news.set()

        database.on_commit(heard)
        made = [await database.create(created()) for _ in range(2)]
        await database.append(batch(printed(made[0], "x")))
        await database.append(batch(moved(made[1], State.COMPLETE)))
        with pytest.raises(InvalidTransition):
            await database.append(batch(moved(made[1], State.RUNNING)))
        await database.claim("local", limit=0, lease=EPOCH - EPOCH)
        await news.wait()
        assert told == [*made, made[0], made[1]]

    async def test_a_caller_that_gives_up_takes_no_news_away(self, database: Database) -> None:
        told = asyncio.Queue[Sequence[TaskId]]()
        database.on_commit(told.put_nowait)
        new = created()
        creating = asyncio.create_task(database.create(new))
        await asyncio.sleep(0)
        creating.cancel()
        assert await told.get() == [new.task_id]

    async def test_events_are_read_from_a_position_on(self, database: Database) -> None:
        assert await database.newest() == 0
        made = [await database.create(created()) for _ in range(2)]
        for task_id in made:
            await database.append(batch(logged(task_id, "x"), moved(task_id, State.RUNNING)))
        seen, last = await database.events(EVERYONE, after=0, limit=100)
        assert [(one.event.task_id, one.seq) for one in seen] == [
            *((one, 1) for one in made),
            *((one, seq) for one in made for seq in (2, 3)),
        ]
        assert last == seen[-1].position == await database.newest()
        assert await database.events(EVERYONE, after=seen[1].position, limit=2) == (
            seen[2:4],
            seen[3].position,
        )
        assert await database.events(EVERYONE, after=last, limit=9) == ([], last)

    async def test_large_tasks_are_read_a_few_at_a_time(self, database: Database) -> None:
        made = [await database.create(created(description="x" * (3 << 20))) for _ in range(12)]
        seen, after, most = list[TaskId](), 0, 0
        while True:
            page, last = await database.events(EVERYONE, after=after, limit=500)
            if last == after:
                break
            seen += [one.event.task_id for one in page]
            after, most = last, max(most, len(page))
        assert seen == made
        assert most < 12

    async def test_events_of_others_are_passed_by(self, database: Database) -> None:
        for owner in ("ann", "bob", "bob"):
            await database.create(created(owner=owner))
        seen, last = await database.events(Scope("ann"), after=0, limit=2)
        assert [one.event.owner for one in seen if isinstance(one.event, Created)] == ["ann"]
        assert len(await feed(database, limit=2)) == 2
        assert await database.events(Scope("ann"), after=last, limit=9) == (
            [],
            await database.newest(),
        )

    async def test_the_events_of_a_task_are_its_own(self, database: Database) -> None:
        made = [await database.create(created()) for _ in range(2)]
        for state in (State.RUNNING, State.COMPLETE):
            for task_id in made:
                await database.append(batch(printed(task_id, "x"), moved(task_id, state)))
        first, *rest = await database.events_of(made[0], after=0, limit=9)
        assert isinstance(first.event, Created)
        states = [one.event.state for one in rest if isinstance(one.event, StateChanged)]
        assert states == [State.RUNNING, State.COMPLETE]
        after = await database.events_of(made[0], after=first.position, limit=1)
        assert after == rest[:1]
        assert not await database.events_of(TaskId("none"), after=0, limit=9)

    async def test_output_is_read_from_a_place_on(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(ExecutorStarted(task_id, EPOCH, 0)))
        err = replace(printed(task_id, "oh"), stream=Stream.STDERR)
        await database.append(batch(printed(task_id, "abc"), printed(task_id, "de", start=3), err))
        await database.append(batch(printed(task_id, "next", index=1)))
        await database.append(batch(Requeued(task_id, EPOCH, "lost")))
        await database.append(batch(printed(task_id, "again")))

        async def texts(place: Place) -> list[str]:
            return [one.text for one in await database.printed(task_id, place)]

        assert await texts(Place()) == ["oh", "abc", "de", "next", "again"]
        assert await texts(Place(1, 0, 3, 2)) == ["de", "next", "again"]
        assert await texts(Place(1, 0, 4, 0)) == ["oh", "de", "next", "again"]
        assert await texts(Place(1, 1, 4)) == ["again"]
        assert await texts(Place(2)) == ["again"]
        (last,) = await database.printed(task_id, Place(2))
        assert (last.attempt, last.executor, last.start, last.end) == (2, 0, 0, 5)
        assert not await database.printed(TaskId("none"), Place())
