"""System calls of a process that keeps tasks fail, one after another; nothing answered is lost."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from running import PATIENCE, Server

from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, EVERYONE

HOST = Host(now=lambda: EPOCH, deployment="test")
KEEPS_TASKS = """
import asyncio, os, sys
from funnel.core.error import NoSpace, Unavailable
from funnel.core.state import State
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, batch, created, moved

async def caller(database):
    for _ in range(10):
        new = created(description="x" * 3000)
        try:
            await database.create(new)
            print(new.task_id, "QUEUED", flush=True)
            await database.append(batch(moved(new.task_id, State.COMPLETE)))
            print(new.task_id, "COMPLETE", flush=True)
        except NoSpace:
            print("NoSpace", flush=True)
        except Unavailable:
            await asyncio.Event().wait()

async def main():
    settings, host = Settings(path=sys.argv[1]), Host(now=lambda: EPOCH, deployment="")
    async with PLUGIN.make(settings, host) as database:
        done = asyncio.gather(*(caller(database) for _ in range(3)))
        broken = asyncio.ensure_future(database.broken())
        await asyncio.wait({done, broken}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            print("Unavailable", flush=True)
            os._exit(1)
        broken.cancel()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Fault:
    """The system calls of this kind that fail, `which` as strace counts in each thread."""

    call: str
    error: str
    which: str

    def strace(self, log: Path) -> list[str]:
        inject = f"inject={self.call}:error={self.error}:when={self.which}"
        return [*("strace", "-D", "-f", "-qq", "-o", str(log), "-e", inject)]


def kept_under(fault: Fault, path: Path) -> tuple[int, list[str]]:
    """Exit code and output of the process."""
    strace = fault.strace(path.with_name("strace.log"))
    done = subprocess.run(
        [*strace, sys.executable, "-c", KEEPS_TASKS, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    failed = "(INJECTED)" in path.with_name("strace.log").read_text(errors="replace")
    assert failed or done.returncode == 0, done.stderr
    return done.returncode, done.stdout.splitlines() if failed else ["untouched"]


async def answered_is_there(path: Path, lines: list[str]) -> int:
    """How many answers there were; each is true of the file as it is now."""
    pairs = [line.split() for line in lines if " " in line]
    answered = {TaskId(task_id): State(state) for task_id, state in pairs}
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        for task_id, state in answered.items():
            task = await database.get(task_id, View.BASIC, EVERYONE)
            assert task.state is State.COMPLETE or state is State.QUEUED
    await asyncio.to_thread(_check, path)
    return len(answered)


def _check(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def points(first: int) -> Iterator[int]:
    """Every one at first, then ever fewer."""
    at = first
    while True:
        yield at
        at += 1 + at // 4


@pytest.mark.timeout(200)
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
async def test_a_disk_that_fails_once_ends_the_process_and_loses_no_answer(
    tmp_path: Path, call: str
) -> None:
    ended = 0
    for turn in points(1):
        path = tmp_path / str(turn) / "funnel.db"
        await asyncio.to_thread(path.parent.mkdir)
        fault = Fault(call, "EIO", str(turn))
        code, lines = await asyncio.to_thread(kept_under, fault, path)
        if lines == ["untouched"] or turn > 60:
            break
        await answered_is_there(path, lines)
        ended += code != 0
        assert code == 0 or lines[-1:] in ([], ["Unavailable"])
    assert ended > 3


@pytest.mark.timeout(200)
async def test_a_disk_that_is_full_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    refused = 0
    for turn in points(3):
        path = tmp_path / str(turn) / "funnel.db"
        await asyncio.to_thread(path.parent.mkdir)
        fault = Fault("pwrite64", "ENOSPC", str(turn))
        code, lines = await asyncio.to_thread(kept_under, fault, path)
        if lines == ["untouched"] or turn > 60:
            break
        assert await answered_is_there(path, lines) > 0 or code != 0
        refused += "NoSpace" in lines
        assert "Unavailable" not in lines
    assert refused > 0


@pytest.mark.parametrize("turn", [20, 40])
def test_a_server_whose_disk_fails_exits_with_the_reason(tmp_path: Path, turn: int) -> None:
    log = tmp_path / "strace.log"
    server = Server(tmp_path / "server", ("--Compute", "noop", "--Runtime", "nothing"))
    server.under = Fault("fdatasync", "EIO", f"{turn}+").strace(log)
    server.start()
    made: list[str] = []
    step = {"image": "alpine", "command": ["true"]}
    for _ in range(100):
        try:
            answer = server.http.post("/v1/tasks", json={"executors": [step]})
        except httpx.TransportError:
            # What failed was a commit of dispatch alone, and the server is gone already.
            break
        if answer.status_code != 200:
            assert answer.status_code == 503
            break
        made.append(answer.json()["id"])
    assert server.process.wait(PATIENCE) == 1
    said = server.log.read_text()
    assert "the database cannot write to its disk (disk I/O error)" in said
    server.under = []
    server.start()
    for one in made:
        assert server.get(one)["id"] == one
    assert server.stop(signal.SIGTERM) == 0
    server.http.close()
