"""What executors print."""

from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.event import ExecutorStarted, Requeued
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH, EVERYONE, batch, created, feed, moved, printed


class OutputSuite:
    async def test_output_is_in_the_full_view_only(self, database: Database) -> None:
        task_id = await started(database)
        pieces = (printed(task_id, "he"), printed(task_id, "llö", start=2))
        err = replace(printed(task_id, "oh"), stream=Stream.STDERR)
        await database.append(batch(*pieces, err, fence=1))
        assert await stdout(database, task_id) == "hellö"
        full = await database.get(task_id, View.FULL, EVERYONE)
        assert full.logs[0].logs[0].stderr == "oh"
        basic = await database.get(task_id, View.BASIC, EVERYONE)
        assert (basic.logs[0].logs[0].stdout, basic.logs[0].logs[0].stderr) == ("", "")

    async def test_output_is_no_event_of_the_feed(self, database: Database) -> None:
        task_id = await started(database)
        await database.append(batch(printed(task_id, "x"), moved(task_id, State.RUNNING), fence=1))
        assert [one.seq for one in await feed(database)] == [1, 2, 4]

    async def test_the_same_piece_again_replaces_it(self, database: Database) -> None:
        task_id = await started(database)
        for text in ("abc", "abcdef"):
            await database.append(batch(printed(task_id, text), fence=1))
        assert await stdout(database, task_id) == "abcdef"

    async def test_only_the_last_bytes_are_kept(self, database: Database) -> None:
        task_id = await started(database)
        written = ""
        for n in range(50):
            piece = printed(task_id, f"line {n}\n", start=len(written), keep=20)
            written += piece.text
            await database.append(batch(piece, fence=1))
            assert await stdout(database, task_id) == written[-20:]

    async def test_attempts_and_executors_have_their_own_output(self, database: Database) -> None:
        task_id = await started(database)
        await database.append(
            batch(
                printed(task_id, "first"),
                Requeued(task_id, EPOCH, "lost"),
                ExecutorStarted(task_id, EPOCH, 1),
                printed(task_id, "second", index=1),
            )
        )
        logs = (await database.get(task_id, View.FULL, EVERYONE)).logs
        assert [[one.stdout for one in log.logs] for log in logs] == [["first"], ["", "second"]]

    async def test_output_may_come_after_the_end(self, database: Database) -> None:
        task_id = await started(database)
        await database.append(
            batch(printed(task_id, "a"), printed(task_id, "b", start=1), fence=1, first=1)
        )
        await database.append(batch(moved(task_id, State.COMPLETE), fence=1, first=3))
        assert await stdout(database, task_id) == "ab"
        await database.append(batch(printed(task_id, "c", start=2), fence=1, first=4))
        assert await stdout(database, task_id) == "abc"


async def started(database: Database) -> TaskId:
    task_id = await database.create(created())
    await database.append(batch(ExecutorStarted(task_id, EPOCH, 0)))
    return task_id


async def stdout(database: Database, task_id: TaskId) -> str:
    full = await database.get(task_id, View.FULL, EVERYONE)
    return full.logs[0].logs[0].stdout
