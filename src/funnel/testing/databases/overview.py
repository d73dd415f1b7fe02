"""All tasks at once."""

from collections import Counter

from funnel.core.event import Requeued
from funnel.core.state import State
from funnel.ports import Database
from funnel.testing.build import EPOCH, accepted, batch, created, moved


class OverviewSuite:
    async def test_unfinished_is_what_a_backend_took_and_has_not_ended(
        self, database: Database
    ) -> None:
        made = [await database.create(created()) for _ in range(5)]
        other = await database.create(created(queue="other"))
        for task_id in (*made[:4], other):
            await database.append(batch(accepted(task_id)))
        await database.append(batch(moved(made[1], State.COMPLETE)))
        await database.append(batch(Requeued(made[2], EPOCH, "lost")))
        found = await database.unfinished("local")
        assert [one.task_id for one in found] == [made[0], made[3]]
        assert found[0] == await database.progress(made[0])
        assert [one.task_id for one in await database.unfinished("other")] == [other]
        assert [*await database.unfinished("none")] == []

    async def test_counts_follow_every_move(self, database: Database) -> None:
        assert not any((await database.counts()).values())
        made = [await database.create(created()) for _ in range(4)]
        await database.append(batch(moved(made[0], State.RUNNING), moved(made[0], State.COMPLETE)))
        await database.append(batch(moved(made[1], State.RUNNING)))
        await database.append(batch(Requeued(made[1], EPOCH, "lost")))
        await database.append(batch(moved(made[2], State.CANCELED)))
        counted = Counter(await database.counts())
        assert counted == Counter({State.QUEUED: 2, State.COMPLETE: 1, State.CANCELED: 1})
