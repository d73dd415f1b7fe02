"""
Two servers under a steady mix of clients for a while, killed now and then: nothing may grow.

    python -m bench.soak [--minutes M] [--seed N]

One runs tasks in real containers, the other many more that nothing runs; 100,000 are stored in each
before. In the first two fifths of
the time each is killed at random moments and started again; the rest is one life, in which memory,
descriptors and threads must be level once it is warm. At the end all is left to finish, and each
task must have ended, with no container and no file left. Ends with 1 when anything is not so, and
writes `soak.md` when it lasted 20 minutes or more.
"""

import argparse
import asyncio
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx

from bench import stored
from bench.engine import deployed, engine
from bench.machine import describe
from bench.measure import Aim, Row
from bench.mix import Mix, Rates
from bench.report import heads, show, write
from bench.samples import Sample, judged, sample
from bench.served import Served, answers, free_port, happens_within, scratch, start, stop
from funnel.app import deployment_of

LONG = 20.0
BEFORE = 100_000
"""So many tasks are stored at the start, far more than caches hold."""
DATABASE = "funnel.db"
EVERY = 2.0
"""Seconds between samples."""
KILLED = 0.4
"""The share of the time in which servers are killed."""
WARM = 0.6
"""The share of the last life in which caches may fill: that of SQLite's writer needs the time."""
MOST_OF_A_TASK = 4 * 1024
PATIENCE = 180
"""Seconds for the sweep, which leaves alone what is younger than a minute."""
KINDS: Mapping[str, tuple[Rates, Sequence[str]]] = {
    "containers": (Rates(creates=1, gets=20, lists=1), ("--Local.Cpus", "4")),
    "no-op": (Rates(creates=50, gets=50, lists=5), ("--Runtime", "nothing", "--Local.Cpus", "16")),
}


@dataclass(slots=True)
class Subject:
    """A server that is killed and started again on the same port, folder and database."""

    folder: Path
    flags: Sequence[str]
    bytes_before: int
    """Of the database."""
    port: int = field(default_factory=free_port)
    lives: int = 0
    samples: list[Sample] = field(default_factory=list[Sample])
    now: Served = field(init=False)

    async def start(self) -> None:
        self.lives += 1
        self.now = start(self.folder, *self.flags, port=self.port)
        await asyncio.to_thread(answers, self.now)

    def kill(self) -> None:
        stop(self.now, signal.SIGKILL)

    async def watch(self) -> None:
        while True:
            # None of one that was killed just now.
            with suppress(OSError):
                self.samples.append(sample(self.now, self.lives))
            await asyncio.sleep(EVERY)

    async def kill_now_and_then(self, seconds: float, dice: random.Random) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, dice.uniform(seconds / 8, seconds / 3)))
            await asyncio.to_thread(self.kill)
            await self.start()


async def soak(minutes: float, seed: int) -> Mapping[str, Sequence[Row]]:
    """The rows of each server."""
    if task := asyncio.current_task():
        # So that servers and folders are cleared up after a stop from outside as well.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        subjects = [await stack.enter_async_context(_started(flags)) for _, flags in KINDS.values()]
        mixes = [
            Mix(session, f"http://127.0.0.1:{one.port}/v1", rates, random.Random(seed + at))
            for at, (one, (rates, _)) in enumerate(zip(subjects, KINDS.values(), strict=True))
        ]
        async with asyncio.TaskGroup() as group:
            working = [
                group.create_task(_one(one, mix, minutes * 60))
                for one, mix in zip(subjects, mixes, strict=True)
            ]
    return {name: one.result() for name, one in zip(KINDS, working, strict=True)}


@asynccontextmanager
async def _started(flags: Sequence[str]) -> AsyncGenerator[Subject]:
    with scratch() as folder:
        one = Subject(
            folder, flags, await asyncio.to_thread(stored.copy, BEFORE, folder / DATABASE)
        )
        await one.start()
        try:
            yield one
        finally:
            one.kill()


async def _one(one: Subject, mix: Mix, seconds: float) -> Sequence[Row]:
    watching = asyncio.create_task(one.watch())
    async with asyncio.TaskGroup() as group:
        group.create_task(mix.run(seconds))
        await one.kill_now_and_then(seconds * KILLED, mix.random)
        since = time.monotonic() + seconds * (1 - KILLED) * WARM
        await mix.fill(BEFORE)
        since = max(since, time.monotonic())
    watching.cancel()
    left = await mix.left()
    steady = [*judged(one.samples, since)]
    remains = await asyncio.to_thread(_remains, one, len(mix.made))
    return [*_totals(one, mix, left), *steady, *remains]


def _totals(one: Subject, mix: Mix, left: Sequence[str]) -> Iterator[Row]:
    bad = sum(count for status, count in mix.answers.items() if status.startswith("5"))
    told = ", ".join(f"{count} {status}" for status, count in sorted(mix.answers.items()))
    yield Row(work="tasks made", unit="", repeats=[len(mix.made)], beside=[f"{one.lives} lives"])
    yield _none("of those, not ended", len(left), *left[:3])
    yield _none("answers that were faults of the server", bad, told)


def _remains(one: Subject, made: int) -> Iterator[Row]:
    """What is left behind a little later, the server's own sweep included."""
    with engine() as docker:
        happens_within(lambda: not _behind(one, docker), PATIENCE, every=1)
        behind = _behind(one, docker)
    yield _none("containers and directories left behind", len(behind), *behind[:3])
    stop(one.now)
    path = one.folder / DATABASE
    with closing(sqlite3.connect(path)) as db:
        (tasks,) = db.execute("SELECT count(*) FROM task").fetchone()
    yield Row(
        work="database, each task that came",
        unit="B",
        repeats=[(stored.size(path) - one.bytes_before) / (tasks - BEFORE)],
        aim=Aim(MOST_OF_A_TASK, most=True),
    )
    yield _none("tasks in the database that nobody made", tasks - BEFORE - made)


def _behind(one: Subject, docker: httpx.Client) -> Sequence[str]:
    work = one.folder / "work"
    return [*deployed(docker, deployment_of(work)), *(str(path) for path in work.glob("*/*"))]


def _none(work: str, count: int, *beside: str) -> Row:
    return Row(work=work, unit="", repeats=[count], aim=Aim(0, most=True), beside=beside)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=LONG)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    asked = parser.parse_args()
    machine = describe()
    found = asyncio.run(soak(asked.minutes, asked.seed))
    for name, rows in found.items():
        heads(name)
        for row in rows:
            show(row)
    if asked.minutes >= LONG:
        how = f"{asked.minutes:g} minutes, seed {asked.seed}."
        write("soak.md", "Soak", how, machine, found)
    sys.exit(any(row.verdict == "missed" for rows in found.values() for row in rows))


if __name__ == "__main__":
    main()
