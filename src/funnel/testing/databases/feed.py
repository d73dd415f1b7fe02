"""The feed."""

import asyncio

from funnel.core.event import Created
from funnel.core.state import State
from funnel.ports import Database
from funnel.testing.build import batch, created, logged, moved


class FeedSuite:
    async def test_a_reader_misses_nothing(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(logged(task_id, "1"), moved(task_id, State.RUNNING)))
        news = await database.unread("kafka", limit=2)
        assert [one.seq for one in news] == [1, 2]
        assert isinstance(news[0].event, Created)
        await database.mark_read("kafka", news[-1].position)
        assert [one.seq for one in await database.unread("kafka", limit=9)] == [3]
        assert len(await database.unread("other", limit=9)) == 3

    async def test_a_mark_never_moves_back(self, database: Database) -> None:
        await database.create(created())
        await database.create(created())
        first, last = await database.unread("kafka", limit=9)
        await database.mark_read("kafka", last.position)
        await database.mark_read("kafka", first.position)
        assert not await database.unread("kafka", limit=9)

    async def test_what_was_not_marked_is_told_again(self, database: Database) -> None:
        await database.create(created())
        assert await database.unread("r", limit=9) == await database.unread("r", limit=9)

    async def test_the_feed_has_the_order_of_the_commits(self, database: Database) -> None:
        async def life(name: str) -> None:
            new = created(name=name)
            await database.create(new)
            for state in (State.INITIALIZING, State.RUNNING, State.COMPLETE):
                await database.append(batch(moved(new.task_id, state)))

        await asyncio.gather(*(life(str(n)) for n in range(20)))
        news = await database.unread("r", limit=100)
        positions = [one.position for one in news]
        assert positions == sorted(set(positions))
        for task_id in {one.event.task_id for one in news}:
            assert [one.seq for one in news if one.event.task_id == task_id] == [1, 2, 3, 4]
        assert len(news) == 80
