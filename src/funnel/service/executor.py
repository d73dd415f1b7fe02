"""One executor of a task: a container from its making to its end."""

import asyncio
import shlex
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import IO, Any, Final

from funnel.core.container import (
    LABEL_ATTEMPT,
    LABEL_EXECUTOR,
    LABEL_TASK,
    Container,
    Exited,
    Found,
    Stream,
)
from funnel.core.error import CannotStart, FunnelError
from funnel.core.event import Change, ExecutorExited, ExecutorStarted, Level, Logged
from funnel.core.plan import Plan, with_workdir
from funnel.core.slots import GB
from funnel.core.task import Executor, ExecutorLog, Task
from funnel.ports import Clock, Runtime
from funnel.safepath import Tree
from funnel.service.journal import Journal
from funnel.service.output import Capturing, Pace
from funnel.service.publish import place
from funnel.service.stage import make_folders
from funnel.service.workplace import Workplace

NOW: Final = timedelta(0)
SHELL: Final = ("/bin/sh", "-c")
SHOWN: Final = 4096
"""No more of a command than this is repeated in the system log."""


class Lost(FunnelError):
    """A container that had been started is gone, and what it did is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What one attempt works with."""

    task: Task
    fence: int
    plan: Plan
    place: Workplace
    journal: Journal
    runtime: Runtime
    pace: Pace
    cpus: float
    memory_bytes: int
    now: Clock

    def tree(self, plan: Plan | None = None) -> Tree:
        return Tree((plan or self.plan).mounts, self.place.root)

    def logged(self, index: int, message: str, level: Level = Level.INFO, **fields: str) -> Logged:
        return Logged(self.task.id, self.now(), message, level, fields, index)


class Run:
    """One executor; `before` is what an earlier worker of the same attempt left of it."""

    def __init__(self, bench: Bench, index: int, before: ExecutorLog | None) -> None:
        self._bench = bench
        self._index = index
        self._executor: Executor = bench.task.executors[index]
        self._before = before
        self._name = f"{bench.task.id}-{index}"

    async def to_exit(self) -> int:
        """The exit code; the container is gone and its output is where the task wants it."""
        plan = await self._plan()
        try:
            container_id = await self._marked(plan)
            exited = await self._ended(container_id, plan)
        except CannotStart as error:
            await self._record(*self._refused(error))
            return error.code
        await self._record(*self._facts(exited))
        await self._bench.runtime.remove(container_id, grace=NOW)
        return exited.code

    async def _plan(self) -> Plan:
        """With a place to work in, where the image has none at that path."""
        bench, executor = self._bench, self._executor
        if not executor.workdir:
            return bench.plan
        plan = with_workdir(bench.plan, PurePosixPath(bench.place.root), executor.workdir)
        if plan is bench.plan or await bench.runtime.has_path(executor.image, executor.workdir):
            return bench.plan
        await asyncio.to_thread(make_folders, plan, bench.place.root)
        return plan

    async def _marked(self, plan: Plan) -> str:
        """A container that may be started: its mark is on disk before it is."""
        if self._before and self._before.start_time:
            return (await self._found()).id
        container_id = await self._bench.runtime.create(self._container(plan))
        await self._record(
            ExecutorStarted(self._bench.task.id, self._bench.now(), self._index),
            self._bench.logged(self._index, "Running command", cmd=self._shown()),
        )
        return container_id

    async def _found(self) -> Found:
        bench = self._bench
        for one in await bench.runtime.found(task_id=bench.task.id):
            if one.name == self._name:
                fed = bench.place.fed(self._index).exists()
                if one.started and self._executor.stdin and not fed:
                    raise Lost(f"container {self._name} was not fed all of its standard input")
                return one
        raise Lost(f"container {self._name} is gone, and what it did is unknown")

    async def _ended(self, container_id: str, plan: Plan) -> Exited:
        bench = self._bench
        capturing = await asyncio.to_thread(
            Capturing, bench.task.id, self._index, bench.place.private, bench.pace, bench.now
        )
        try:
            exited = await self._watched(container_id, plan, capturing)
        finally:
            await capturing.close()
        for path, stream in (
            (self._executor.stdout, Stream.STDOUT),
            (self._executor.stderr, Stream.STDERR),
        ):
            if path:
                await asyncio.to_thread(place, capturing.path(stream), path, bench.tree(plan))
        await bench.journal.note(*capturing.news(final=True))
        return exited

    async def _watched(self, container_id: str, plan: Plan, capturing: Capturing) -> Exited:
        """Start it, unless it has been, feed it, and keep what it prints until it ends."""
        runtime, bench = self._bench.runtime, self._bench
        if not await self._has_started(container_id):
            await runtime.start(container_id)
        followed = runtime.follow(container_id, skip=capturing.sizes)
        async with _meanwhile(
            capturing.tell_forever(bench.journal.record), self._fed(container_id, plan)
        ):
            await capturing.take(followed)
            return await runtime.wait(container_id)

    async def _has_started(self, container_id: str) -> bool:
        if not (self._before and self._before.start_time):
            return False
        found = await self._bench.runtime.found(task_id=self._bench.task.id)
        return any(one.id == container_id and one.started for one in found)

    async def _fed(self, container_id: str, plan: Plan) -> None:
        mark = self._bench.place.fed(self._index)
        if not self._executor.stdin or mark.exists():
            return
        source: IO[bytes] = await asyncio.to_thread(
            self._bench.tree(plan).open_file, self._executor.stdin
        )
        with source:
            await self._bench.runtime.feed(container_id, source)
        await asyncio.to_thread(mark.touch)

    def _container(self, plan: Plan) -> Container:
        bench, executor = self._bench, self._executor
        one_line = len(executor.command) == 1
        return Container(
            name=self._name,
            image=executor.image,
            command=(*SHELL, *executor.command) if one_line else executor.command,
            env=executor.env,
            workdir=executor.workdir,
            mounts=plan.mounts,
            labels={
                LABEL_TASK: bench.task.id,
                LABEL_ATTEMPT: str(bench.fence),
                LABEL_EXECUTOR: str(self._index),
            },
            cpus=bench.cpus,
            memory_bytes=bench.memory_bytes,
            stdin=bool(executor.stdin),
        )

    def _facts(self, exited: Exited) -> tuple[Change, ...]:
        bench = self._bench
        facts: list[Change] = []
        if exited.oom_killed:
            asked = f"{bench.memory_bytes / GB:g} GB" if bench.memory_bytes else "no limit"
            facts.append(
                bench.logged(
                    self._index,
                    "the container ran out of memory; ask for more with resources.ram_gb",
                    Level.ERROR,
                    ram_asked=asked,
                )
            )
        if exited.reason:
            facts.append(bench.logged(self._index, exited.reason, Level.ERROR))
        facts.append(ExecutorExited(bench.task.id, bench.now(), self._index, exited.code))
        return tuple(facts)

    def _refused(self, error: CannotStart) -> tuple[Change, ...]:
        task_id, now = self._bench.task.id, self._bench.now()
        return (
            ExecutorStarted(task_id, now, self._index),
            self._bench.logged(self._index, "Exec error", Level.ERROR, error=str(error)),
            ExecutorExited(task_id, now, self._index, error.code),
        )

    async def _record(self, *events: Change) -> None:
        await self._bench.journal.record(*events)

    def _shown(self) -> str:
        shown = shlex.join(self._executor.command)
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


@asynccontextmanager
async def _meanwhile(*jobs: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Do other things while the body runs; what goes wrong with them is raised at its end."""
    working = [asyncio.create_task(job) for job in jobs]
    try:
        yield
        for one in working:
            if one.done():
                one.result()
    finally:
        for one in working:
            one.cancel()
        for one in working:
            with suppress(asyncio.CancelledError, Exception):
                await one
