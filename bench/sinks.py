"""How fast what has happened is told to Kafka: from the database until it is acknowledged."""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Pace, Row
from bench.servers import running
from funnel.core.event import (
    Batch,
    Change,
    Created,
    ExecutorExited,
    ExecutorStarted,
    MetadataAdded,
    OutputsStored,
    StateChanged,
)
from funnel.core.state import State
from funnel.core.task import Executor, OutputFileLog, Spec, TaskId
from funnel.database import sqlite
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Database
from funnel.service.feed import Delivery
from funnel.service.settings import Start
from funnel.sinks import kafka

TASKS = 4000
EVENTS = 8
"""Of a task."""
SPEC = Spec(
    name="bench",
    executors=(Executor(image="alpine", command=("sh", "-c", "echo hello > /out/file")),),
    tags={"project": "bench", "sample": "s1"},
)


@dataclass(frozen=True, slots=True)
class Told:
    messages: int
    seconds: float
    cpu: float


def sinks(pace: Pace) -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory() as home,
        running("broker.sh", "kafka", Path(home), 3) as address,
    ):
        told = asyncio.run(_measured(f"{home}/funnel.db", address, pace.repeats))
    cost = sum(one.cpu for one in told) / sum(one.messages for one in told)
    per_event = TASKS * EVENTS / told[0].messages
    yield Row(
        work=f"messages to Kafka, {TASKS * EVENTS:,} events in the database, acknowledged",
        unit="/s",
        repeats=[one.messages / one.seconds for one in told],
        beside=[
            f"{per_event:.2f} events a message",
            f"{cost * 1e6:.0f} µs of our processor each",
        ],
    )


async def _measured(path: str, address: str, repeats: int) -> list[Told]:
    async with _filled(path) as database:
        return [await _tell(database, address, f"bench-{n}") for n in range(repeats)]


async def _tell(database: Database, address: str, name: str) -> Told:
    metrics = Metrics()
    host = Host(now=_now, counted=metrics, deployment="bench")
    settings = kafka.Settings(servers=(address,), topic=name)
    async with kafka.PLUGIN.make(settings, host) as sink:
        one = Delivery(database, name, sink, metrics=metrics)
        await one.begin(Start.BEGINNING)
        # The first page also connects and makes the topic, which is not what is measured.
        await one.deliver()
        began, cpu = time.perf_counter(), time.process_time()
        before = _count(metrics, name)
        while await one.deliver():
            pass
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return Told(_count(metrics, name) - before, seconds, cpu)


def _count(metrics: Metrics, name: str) -> int:
    lines = metrics.exposition().decode().splitlines()
    (line,) = [one for one in lines if one.startswith(f'funnel_sink_messages_total{{sink="{name}"')]
    return round(float(line.split()[1]))


@asynccontextmanager
async def _filled(path: str) -> AsyncGenerator[Database]:
    """With the lives of so many tasks."""
    host = Host(now=_now, deployment="bench")
    async with sqlite.PLUGIN.make(sqlite.Settings(path=path), host) as database:
        for first in range(0, TASKS, 100):
            lives = (_life(database, n) for n in range(first, first + 100))
            await asyncio.gather(*lives)
        yield database


async def _life(database: Database, number: int) -> None:
    task_id, at = TaskId(f"bench{number:015}"), _now()
    await database.create(Created(task_id, at, SPEC, "", "local"))
    file = OutputFileLog(url="file:///data/out/file", path="/out/file", size_bytes="6")
    events: tuple[Change, ...] = (
        StateChanged(task_id, at, State.INITIALIZING),
        MetadataAdded(task_id, at, {"hostname": "bench"}),
        StateChanged(task_id, at, State.RUNNING),
        ExecutorStarted(task_id, at, 0),
        ExecutorExited(task_id, at, 0, 0),
        OutputsStored(task_id, at, (file,)),
        StateChanged(task_id, at, State.COMPLETE),
    )
    await database.append(Batch(task_id=task_id, events=events))


def _now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)
