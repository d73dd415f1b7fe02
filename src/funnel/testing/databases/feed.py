"""The feed."""

import asyncio

from funnel.core.event import Created
from funnel.core.state import State
from funnel.ports import Database
from funnel.testing.build import batch, created, feed, logged, moved


class FeedSuite:
    async def test_a_reader_misses_nothing(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(logged(task_id, "1"), moved(task_id, State.RUNNING)))
        news = await feed(database, limit=2)
        assert [one.seq for one in news] == [1, 2]
        assert isinstance(news[0].event, Created)
        assert [one.seq for one in await feed(database, after=news[-1].position)] == [3]

    async def test_each_reader_has_a_mark_of_its_own(self, database: Database) -> None:
        assert await database.mark("kafka") is None
        await database.mark_read("kafka", 0)
        assert await database.mark("kafka") == 0
        await database.mark_read("kafka", 7)
        assert await database.mark("kafka") == 7
        assert await database.mark("other") is None

    async def test_a_mark_never_moves_back(self, database: Database) -> None:
        await database.mark_read("kafka", 2)
        await database.mark_read("kafka", 1)
        assert await database.mark("kafka") == 2

    async def test_the_feed_has_the_order_of_the_commits(self, database: Database) -> None:
        async def life(name: str) -> None:
            new = created(name=name)
            await database.create(new)
            for state in (State.INITIALIZING, State.RUNNING, State.COMPLETE):
                await database.append(batch(moved(new.task_id, state)))

        await asyncio.gather(*(life(str(n)) for n in range(20)))
        news = await feed(database)
        positions = [one.position for one in news]
        assert positions == sorted(set(positions))
        for task_id in {one.event.task_id for one in news}:
            assert [one.seq for one in news if one.event.task_id == task_id] == [1, 2, 3, 4]
        assert len(news) == 80
