"""A process that keeps tasks is killed at any moment; what it has answered is there."""

import asyncio
import sys
from pathlib import Path

import pytest

from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, EVERYONE, MINUTE, feed

HOST = Host(now=lambda: EPOCH, deployment="test")
LIVES_FOREVER = """
import asyncio, sys
from funnel.core.state import State
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, batch, created, feed, moved, printed

async def caller(database):
    while True:
        task_id = await database.create(created(tags={"a": "b"}))
        print(task_id, "QUEUED", flush=True)
        for state in (State.RUNNING, State.COMPLETE):
            await database.append(batch(printed(task_id, "x"), moved(task_id, state)))
            print(task_id, state, flush=True)

async def main():
    settings, host = Settings(path=sys.argv[1]), Host(now=lambda: EPOCH, deployment="")
    async with PLUGIN.make(settings, host) as database:
        await asyncio.gather(*(caller(database) for _ in range(16)))

asyncio.run(main())
"""
ORDER = [State.QUEUED, State.RUNNING, State.COMPLETE]


@pytest.mark.parametrize("lines", [1, 40, 800])
async def test_what_was_answered_survives_a_kill(tmp_path: Path, lines: int) -> None:
    path = str(tmp_path / "funnel.db")
    answered = await killed_after(path, lines)
    async with PLUGIN.make(Settings(path=path), HOST) as database:
        for task_id, state in answered.items():
            task = await database.get(task_id, View.FULL, EVERYONE)
            assert ORDER.index(task.state) >= ORDER.index(state)
        counts = await database.counts()
        assert sum(counts.values()) >= len(answered)
        events = await feed(database, limit=100_000)
        assert len([one for one in events if one.seq == 1]) == sum(counts.values())
        work = await database.claim("local", limit=100_000, lease=MINUTE)
        assert len(work) == sum(counts.values())


async def killed_after(path: str, lines: int) -> dict[TaskId, State]:
    """What the process had answered before it was killed: the last state of each task."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LIVES_FOREVER, path), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout
    said = [(await server.stdout.readline()).decode() for _ in range(lines)]
    server.kill()
    said += (await server.stdout.read()).decode().splitlines()
    await server.wait()
    answers = [line.split() for line in said if line.endswith(tuple(ORDER)) or "\n" in line]
    return {TaskId(task_id): State(state) for task_id, state in answers}
