"""Workers in this very process, on the CPUs and the memory of this machine."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, TypeAlias

from funnel.core.attempts import PARAMETERS
from funnel.core.backoff import delays
from funnel.core.error import FunnelError, NotFound
from funnel.core.event import Batch, Level, Logged, StateChanged
from funnel.core.query import EVERYONE, View
from funnel.core.slots import GB, Slot, Waiting, choose, refusal, total
from funnel.core.state import State, is_final
from funnel.core.task import Resources, TaskId
from funnel.core.value import Amount, Count, Value
from funnel.plugins import Host, Plugin
from funnel.ports import Accept, Answer, Attempt, Clock, Job, Refuse, Tasks

log = logging.getLogger(__name__)

WINDOW: Final = 1000
"""How far down the queue room is looked for."""

TRIES: Final = 5
"""Times that the worker of one attempt may fail by a fault of its own."""

NOTHING: Final = Slot(0.0, 0)
ONE: Final = 1.0
"""A task that asks for CPUs asks for so many at least."""

Key: TypeAlias = tuple[TaskId, int]


class Settings(Value, kw_only=True, rename="pascal"):
    """What tasks may hold on this machine."""

    cpus: Amount = 0.0
    """CPUs that tasks may hold together; 0 is all that this machine has."""
    ram_gb: Amount = 0.0
    """Memory, in 10^9 bytes, that tasks may hold together; 0 is all that this machine has."""
    default_cpus: Amount = 1.0
    """What a task holds that asks for no CPUs."""
    default_ram_gb: Amount = 0.0
    """What a task holds that asks for no memory."""
    max_passes: Count = 100
    """How many smaller tasks may start before one that waits for room."""


class LocalBackend:
    """Answers `ports.Backend`. What it holds goes with the process; `resume` takes it up."""

    parameters: frozenset[str] = PARAMETERS

    def __init__(
        self,
        run: Callable[[TaskId, int], Awaitable[object]],
        tasks: Tasks,
        now: Clock,
        settings: Settings,
        capacity: Slot,
        *,
        pauses: Callable[[], Iterator[float]] = delays,
    ) -> None:
        self._pauses = pauses
        self._run = run
        self._tasks = tasks
        self._now = now
        self._settings = settings
        self._capacity = capacity
        self._waiting: dict[Key, Waiting] = {}
        self._running: dict[Key, tuple[Slot, asyncio.Task[None]]] = {}
        self._closing = False

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> Slot:
        return self._capacity.less(total([slot for slot, _ in self._running.values()]))

    def promise(self, attempt: Attempt) -> Accept | None:
        if refusal(self._wants(attempt.spec.resources), self._capacity):
            return None
        return _accepted(attempt.task_id, attempt.fence)

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        answers = [self._take(one.task_id, one.fence, one.spec.resources) for one in attempts]
        self._fill()
        return answers

    async def cancel(self, jobs: Sequence[Job]) -> None:
        for key in {(job.task_id, job.fence) for job in jobs}:
            if key in self._running:
                _stop(self._running[key][1])
            elif self._waiting.pop(key, None) is None:
                # Of a server before us, which may have left a container and files of it.
                self._begin(Waiting(*key, NOTHING))
        self._fill()

    async def resume(self, jobs: Sequence[Job]) -> None:
        """Those that had begun hold their slots again, before any other gets one."""
        for job in jobs:
            try:
                task = await self._tasks.get(job.task_id, View.BASIC, EVERYONE)
            except NotFound:
                continue
            if task.state is State.QUEUED:
                answer = self._take(job.task_id, job.fence, task.resources)
                if isinstance(answer, Refuse):
                    await self._fail(job.task_id, job.fence, answer.reason)
            elif not is_final(task.state) and (job.task_id, job.fence) not in self._running:
                self._begin(Waiting(job.task_id, job.fence, self._wants(task.resources)))
        self._fill()

    async def close(self) -> None:
        """Leave the containers to the next start; those that are being stopped are waited for."""
        self._closing = True
        self._waiting.clear()
        working = [one for _, one in self._running.values()]
        for one in working:
            _stop(one)
        await asyncio.gather(*working, return_exceptions=True)

    def _take(self, task_id: TaskId, fence: int, resources: Resources) -> Answer:
        wants = self._wants(resources)
        if reason := refusal(wants, self._capacity):
            return Refuse(reason)
        key = (task_id, fence)
        if key not in self._running and key not in self._waiting:
            self._waiting[key] = Waiting(task_id, fence, wants)
        return _accepted(task_id, fence)

    def _wants(self, resources: Resources) -> Slot:
        cpus = resources.cpu_cores or self._settings.default_cpus
        ram_gb = resources.ram_gb or self._settings.default_ram_gb
        return Slot(float(cpus), round(ram_gb * GB))

    def _fill(self) -> None:
        """Start whatever fits."""
        chosen, left = choose(
            islice(self._waiting.values(), WINDOW),
            self.free,
            least=Slot(min(ONE, self._settings.default_cpus), 0),
            most_passes=self._settings.max_passes,
        )
        self._waiting.update((_key(one), one) for one in left)
        for one in chosen:
            del self._waiting[_key(one)]
            self._begin(one)

    def _begin(self, one: Waiting) -> None:
        working = asyncio.create_task(self._work(one.task_id, one.fence))
        self._running[_key(one)] = (one.wants, working)
        # Not in the coroutine, which never begins where it is stopped at once.
        working.add_done_callback(lambda done: self._over(one, done))

    def _over(self, one: Waiting, working: asyncio.Task[None]) -> None:
        del self._running[_key(one)]
        if self._closing:
            return
        if working.cancelled():
            # Before it could look whether the task is over: it clears up what it had taken up.
            self._begin(Waiting(one.task_id, one.fence, NOTHING))
        self._fill()

    async def _work(self, task_id: TaskId, fence: int) -> None:
        """To its end, or to the end of our patience with it: it is never lost."""
        for wait in islice(self._pauses(), TRIES):
            try:
                await self._run(task_id, fence)
            except NotFound as gone:
                log.info("attempt %d of %s is over: %s", fence, task_id, gone)
                return
            except Exception:
                log.exception("attempt %d of %s did not come to its end", fence, task_id)
            else:
                return
            await asyncio.sleep(wait)
        await self._fail(task_id, fence, "its worker failed again and again; see the server's log")

    async def _fail(self, task_id: TaskId, fence: int, reason: str) -> None:
        now = self._now()
        failed = (
            Logged(task_id, now, "System error", Level.ERROR, {"error": reason}),
            StateChanged(task_id, now, State.SYSTEM_ERROR),
        )
        try:
            await self._tasks.append(Batch(task_id=task_id, events=failed, fence=fence))
        except (FunnelError, OSError) as error:
            log.warning("attempt %d of %s cannot be ended: %s", fence, task_id, error)


def _accepted(task_id: TaskId, fence: int) -> Accept:
    return Accept(f"{task_id}-{fence}")


def _key(one: Waiting) -> Key:
    return (one.task_id, one.fence)


def _stop(working: asyncio.Task[None]) -> None:
    """Once: a second time would stop it from clearing up."""
    if not working.cancelling():
        working.cancel()


def of_this_machine(settings: Settings) -> Slot:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = settings.cpus or float(len(os.sched_getaffinity(0)))
    return Slot(cpus, round(settings.ram_gb * GB) or memory)


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[LocalBackend]:
    if host.run_attempt is None or host.tasks is None:
        raise FunnelError("the local backend works only inside a server")
    capacity = of_this_machine(settings)
    backend = LocalBackend(host.run_attempt, host.tasks, host.now, settings, capacity)
    host.metrics.watch_queue("local", lambda: backend.waiting)
    host.metrics.watch_slots(lambda: (backend.free.cpus, backend.free.memory_bytes / GB))
    try:
        yield backend
    finally:
        await backend.close()


PLUGIN = Plugin("Local", Settings, make)
