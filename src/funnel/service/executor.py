"""One executor of a task: a container from its making to its end."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, TypeAlias

from funnel.core.attempts import TIMED_OUT
from funnel.core.container import (
    LABEL_ATTEMPT,
    LABEL_EXECUTOR,
    LABEL_TASK,
    Container,
    Exited,
    Found,
    Stream,
)
from funnel.core.duration import shown
from funnel.core.error import CannotStart, FunnelError, NotFound
from funnel.core.event import Change, ExecutorExited, ExecutorStarted, Level, Logged, MetadataAdded
from funnel.core.plan import Plan, with_workdir
from funnel.core.task import Executor, ExecutorLog, Task
from funnel.core.usage import NEVER_RAN, YES, key, measured, out_of_memory, used
from funnel.ports import Clock, Runtime
from funnel.safepath import Tree
from funnel.service.journal import Journal
from funnel.service.limit import Limit
from funnel.service.output import Capturing, Pace, Source
from funnel.service.publish import place
from funnel.service.remains import SILENCE
from funnel.service.stage import make_folders
from funnel.service.workplace import Workplace
from funnel.together import alongside, lingering, together

Job: TypeAlias = Coroutine[Any, Any, object]

NOW: Final = timedelta(0)
LINGER: Final = 5.0
"""Seconds for a start, and for its standard input, that a stop of the server would tear apart."""
MAKING: Final = 5.0
"""The same for the making of a container."""
SHELL: Final = ("/bin/sh", "-c")
SHOWN: Final = 4096
"""No more of a command than this is repeated in the system log."""


class Lost(FunnelError):
    """A container that had been started is gone, and what it did is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What one attempt works with; `is_over` asks whether others have ended it."""

    task: Task
    fence: int
    plan: Plan
    place: Workplace
    journal: Journal
    runtime: Runtime
    pace: Pace
    limit: Limit
    grace: timedelta
    cpus: float
    memory_bytes: int
    now: Clock
    is_over: Callable[[], Awaitable[bool]]

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
        self._marked = bool(before and before.start_time)
        self._started = False
        self._timed_out = False
        self._name = f"{bench.task.id}-{index}"

    async def to_exit(self, before: str = "") -> str:
        """
        Its end is noted and its output where the task wants it; the id of the container, if any.

        The container stays until that note is on disk: it is to be removed by the next executor,
        which gets it as `before`, or with the attempt.
        """
        bench = self._bench
        if bench.limit.seconds:
            await asyncio.to_thread(bench.limit.begin)
        if await self._is_too_late():
            await bench.journal.note(*self._not_begun())
            return ""
        plan = await self._plan()
        try:
            container_id = await self._ready(plan)
            await self._ended(container_id, plan, before)
        except CannotStart as error:
            await bench.journal.note(*self._refused(error))
            return ""
        return container_id

    async def _is_too_late(self) -> bool:
        """Whether no time is left to start it in; what has been started is stopped in its turn."""
        if not self._bench.limit.is_over():
            return False
        return not self._marked or not (await self._found()).started

    async def _plan(self) -> Plan:
        """With a place to work in, where the image has none at that path."""
        bench, executor = self._bench, self._executor
        if self._marked or not executor.workdir:
            return bench.plan
        plan = with_workdir(bench.plan, PurePosixPath(bench.place.root), executor.workdir)
        if plan is bench.plan or await bench.runtime.has_path(executor.image, executor.workdir):
            return bench.plan
        await asyncio.to_thread(make_folders, plan, bench.place.root)
        return plan

    async def _ready(self, plan: Plan) -> str:
        """A container that may be started, or has been: its mark is on disk before it is."""
        if self._marked:
            found = await self._found()
            self._started = found.started
            overtime = self._bench.place.overtime(self._index)
            self._timed_out = await asyncio.to_thread(overtime.exists)
            return found.id
        bench, index = self._bench, self._index
        container_id = await self._make(plan)
        await bench.journal.record(
            ExecutorStarted(bench.task.id, bench.now(), index),
            bench.logged(index, "Running command", cmd=self._shown()),
        )
        self._marked = True
        return container_id

    async def _make(self, plan: Plan) -> str:
        # One that is made after the attempt has been cleared away would stay.
        return await lingering(self._bench.runtime.create(self._container(plan)), MAKING)

    async def _found(self) -> Found:
        bench = self._bench
        for one in await bench.runtime.found(task_id=bench.task.id):
            if one.name == self._name and one.labels.get(LABEL_ATTEMPT) == str(bench.fence):
                return one
        raise self._lost()

    def _lost(self) -> Lost:
        return Lost(f"container {self._name} is gone, and what it did is unknown")

    async def _ended(self, container_id: str, plan: Plan, before: str) -> None:
        bench = self._bench
        source = Source(bench.task.id, self._index, bench.now)
        wanted = frozenset(self._wanted())
        capturing = Capturing(source, bench.place.private, bench.pace, wanted)
        if self._started:
            await asyncio.to_thread(capturing.take_up)
        try:
            exited = await self._watched(container_id, plan, capturing, before)
        except NotFound as error:
            raise self._lost() from error
        finally:
            await capturing.close()
            await bench.journal.note(*capturing.news(final=True))
        keeps_output = bool(self._wanted())
        if not self._timed_out and (doubt := exited.doubt(keeps_output=keeps_output)):
            raise Lost(doubt)
        try:
            await self._place(capturing, plan)
        except (FunnelError, OSError) as error:
            await bench.journal.note(*self._facts(exited))
            if not exited.code:
                raise
            await bench.journal.note(
                bench.logged(self._index, "output not kept", Level.ERROR, error=str(error))
            )
            return
        await bench.journal.note(*self._facts(exited))

    async def _place(self, capturing: Capturing, plan: Plan) -> None:
        wanted: dict[str, list[Path]] = {}
        for stream, path in self._wanted().items():
            sources = wanted.setdefault(path, [])
            if source := capturing.path(stream):
                sources.append(source)
        for path, sources in wanted.items():
            await asyncio.to_thread(place, sources, path, self._bench.tree(plan))

    def _wanted(self) -> Mapping[Stream, str]:
        """Where the task wants what it prints."""
        paths = {Stream.STDOUT: self._executor.stdout, Stream.STDERR: self._executor.stderr}
        return {stream: path for stream, path in paths.items() if path}

    async def _watched(
        self, container_id: str, plan: Plan, capturing: Capturing, before: str
    ) -> Exited:
        """Start it, unless it has been, feed it, and keep what it prints until it ends."""
        runtime = self._bench.runtime
        with ExitStack() as stack:
            stdin = await self._stdin(plan)
            if stdin:
                stack.enter_context(stdin)
            begun = asyncio.Event()
            watching = [
                lingering(self._begin(container_id, stdin, begun), LINGER),
                self._follow(container_id, capturing, begun),
                self._describe(),
                *self._making_next(begun),
            ]
            async with alongside(
                capturing.tell_forever(self._bench.journal.record),
                *self._ending(container_id, begun),
                *self._clearing_away(before),
            ):
                await together(watching)
                return await runtime.wait(container_id)

    async def _begin(
        self, container_id: str, stdin: IO[bytes] | None, begun: asyncio.Event
    ) -> None:
        if not self._started:
            await self._bench.runtime.start(container_id)
        begun.set()
        if stdin:
            mark = self._bench.place.fed(self._index)
            await self._bench.runtime.feed(container_id, stdin, fed=mark.touch)
            await asyncio.to_thread(mark.touch)

    def _clearing_away(self, container_id: str) -> Iterator[Job]:
        """Our mark is on disk, and so is its end; what stays now is removed with the attempt."""
        if container_id:
            yield _tried(self._bench.runtime.remove(container_id, grace=NOW))

    def _making_next(self, begun: asyncio.Event) -> Iterator[Job]:
        """
        Have the next container at hand; where that fails now, it is made in its turn.

        Not one with a working directory, for which there may be something to make first.
        """
        index, executors = self._index + 1, self._bench.task.executors
        if index < len(executors) and not executors[index].workdir:
            yield _tried(self._make_next(index, begun))

    async def _make_next(self, index: int, begun: asyncio.Event) -> None:
        await begun.wait()
        await Run(self._bench, index, None)._make(self._bench.plan)

    def _ending(self, container_id: str, begun: asyncio.Event) -> Iterator[Job]:
        if self._bench.limit.seconds:
            yield self._until_time_is_up(container_id, begun)

    async def _until_time_is_up(self, container_id: str, begun: asyncio.Event) -> None:
        """Then stop it; what it prints till its end is kept."""
        bench = self._bench
        await begun.wait()
        await asyncio.sleep(bench.limit.left())
        if (await self._found()).running:
            self._timed_out = True
            # Whoever goes on after us must not take its end for one of its own.
            await asyncio.to_thread(bench.place.overtime(self._index).touch)
            await bench.runtime.stop(container_id, grace=bench.grace)

    async def _follow(self, container_id: str, capturing: Capturing, begun: asyncio.Event) -> None:
        await begun.wait()
        follow = self._bench.runtime.follow(container_id, skip=capturing.sizes)
        taking = asyncio.ensure_future(capturing.take(follow))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await self._stop_and_hear(container_id, taking)
            raise
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _stop_and_hear(self, container_id: str, taking: asyncio.Future[None]) -> None:
        """Where the attempt is over; otherwise the container is left to the next worker."""
        bench = self._bench
        with suppress(FunnelError, OSError):
            async with asyncio.timeout((bench.grace + SILENCE).total_seconds()):
                if await bench.is_over():
                    await bench.runtime.stop(container_id, grace=bench.grace)
                    await asyncio.wait({taking})

    async def _describe(self) -> None:
        """Tell what the engine knows the container by; what is not known now is left out."""
        bench, about = self._bench, {"containerName": self._name}
        with suppress(FunnelError, OSError):
            found = await self._found()
            about["containerID"] = found.id
            if found.image:
                about["containerImageHash"] = found.image
        task_id, at = bench.task.id, bench.now()
        await bench.journal.note(
            Logged(task_id, at, "container metadata", Level.INFO, about, self._index)
        )

    async def _stdin(self, plan: Plan) -> IO[bytes] | None:
        """What is to be fed, open; None where nothing is."""
        path = self._executor.stdin
        if not path or await asyncio.to_thread(self._bench.place.fed(self._index).exists):
            return None
        if self._started:
            raise Lost(f"container {self._name} was not fed all of its standard input")
        try:
            return await asyncio.to_thread(self._bench.tree(plan).open_file, path)
        except FunnelError as error:
            raise FunnelError(f"stdin of executor {self._index}: {error}") from error

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
        bench, index = self._bench, self._index
        code = TIMED_OUT if self._timed_out else exited.code
        facts: list[Change] = [*self._complaints(exited)]
        if amounts := used(exited.usage):
            facts.append(bench.logged(index, "Resource use", Level.INFO, **amounts))
        if metadata := measured(index, exited, timed_out=self._timed_out):
            facts.append(MetadataAdded(bench.task.id, bench.now(), metadata))
        return (*facts, ExecutorExited(bench.task.id, bench.now(), index, code))

    def _complaints(self, exited: Exited) -> Iterator[Logged]:
        bench, index = self._bench, self._index
        if exited.oom_killed:
            asked = bool(bench.task.resources.ram_gb)
            message = out_of_memory(index, bench.memory_bytes, asked=asked)
            yield bench.logged(index, message, Level.ERROR if exited.code else Level.WARNING)
        if self._timed_out:
            yield self._overtime("stopped")
        elif exited.reason:
            message = "the container did not end well"
            yield bench.logged(index, message, Level.ERROR, error=exited.reason)

    def _overtime(self, what: str) -> Logged:
        bench, index = self._bench, self._index
        limit = shown(timedelta(seconds=bench.limit.seconds))
        message = f"executor {index} was {what}: the task's timeout of {limit} is over"
        return bench.logged(index, message, Level.ERROR)

    def _not_begun(self) -> tuple[Change, ...]:
        late = measured(self._index, Exited(code=TIMED_OUT), timed_out=True)
        return self._unstarted(TIMED_OUT, self._overtime("not started"), late)

    def _refused(self, error: CannotStart) -> tuple[Change, ...]:
        bench, index = self._bench, self._index
        message = "the container cannot start"
        why = bench.logged(index, message, Level.ERROR, error=str(error))
        return self._unstarted(error.exit_code, why, {key(index, NEVER_RAN): YES})

    def _unstarted(self, code: int, why: Logged, told: Mapping[str, str]) -> tuple[Change, ...]:
        bench, index = self._bench, self._index
        task_id, now = bench.task.id, bench.now()
        mark = ExecutorStarted(task_id, now, index)
        return (
            *(() if self._marked else (mark,)),
            why,
            MetadataAdded(task_id, now, told),
            ExecutorExited(task_id, now, index, code),
        )

    def _shown(self) -> str:
        shown = shlex.join(self._executor.command)
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


async def _tried(job: Job) -> None:
    """Do it, if it can be done now."""
    with suppress(FunnelError, OSError):
        await job
