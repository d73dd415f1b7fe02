"""A real server on a database with rows that cannot be read runs all other tasks to their ends."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from damaging import of_task
from running import FINAL, Server, until

from funnel.core.task import TaskId
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, accepted, batch, created

HOST = Host(now=lambda: EPOCH, deployment="test")


async def queued(path: Path, count: int) -> list[TaskId]:
    """As a server leaves them that was killed: some with their backend, some not yet."""
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        made = [await database.create(created(tags={"a": "b"})) for _ in range(count)]
        for one in made[: count // 2]:
            await database.append(batch(accepted(one)))
        return made


def damage(path: Path, ids: Sequence[TaskId]) -> None:
    """Each in another way, and some of the work that waits."""
    with closing(sqlite3.connect(path)) as db:
        for turn, task_id in enumerate(ids):
            (n,) = db.execute("SELECT n FROM task WHERE id = ?", (task_id,)).fetchone()
            ways = [*of_task(db, n)]
            statement, values = ways[turn * 104_729 % len(ways)]
            db.execute(statement, values)
        db.execute("UPDATE outbox SET work = 'garbled' WHERE id % 7 = 0")
        db.commit()


def test_good_tasks_run_to_their_ends_beside_bad_ones(tmp_path: Path) -> None:
    server = Server(tmp_path, ("--Runtime", "nothing"))
    made = asyncio.run(queued(server.database, 80))
    bad, good = made[::2], made[1::2]
    damage(server.database, bad)
    server.start()
    for one in good:
        until(lambda one=one: server.state(one) in FINAL)
        assert server.state(one) == "COMPLETE"
    for view in ("MINIMAL", "BASIC", "FULL"):
        answer = server.http.get("/v1/tasks", params={"view": view})
        assert answer.status_code == 200
        listed = answer.json()["tasks"]
        assert len(listed) == len(made)
        assert {*good} <= {task["id"] for task in listed}
    for task in listed:
        if task["state"] not in FINAL:
            server.cancel(task["id"])
    assert server.stop() == 0
    server.http.close()
