"""Workers in this very process, on the CPUs and the memory of this machine."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final

from funnel.core.error import FunnelError
from funnel.core.query import Scope, View
from funnel.core.slots import GB, Slot, Waiting, choose, refusal, total
from funnel.core.task import Resources, TaskId
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Accept, Answer, Attempt, Job, Refuse, Tasks

log = logging.getLogger(__name__)

EVERYONE: Final = Scope(owner=None)
WINDOW: Final = 1000
"""How far down the queue room is looked for."""

Key = tuple[TaskId, int]


class Settings(Value, kw_only=True, rename="pascal"):
    """What tasks may hold on this machine."""

    cpus: float = 0.0
    """CPUs that tasks may hold together; 0 is all that this machine has."""
    ram_gb: float = 0.0
    """Memory, in 10^9 bytes, that tasks may hold together; 0 is all that this machine has."""
    default_cpus: float = 1.0
    """What a task holds that asks for no CPUs."""
    default_ram_gb: float = 0.0
    """What a task holds that asks for no memory."""
    max_passes: int = 100
    """How many smaller tasks may start before one that waits for room."""


class LocalBackend:
    """Answers `ports.Backend`. What it holds goes with the process; `resume` takes it up."""

    parameters: frozenset[str] = frozenset()

    def __init__(
        self,
        run: Callable[[TaskId, int], Awaitable[object]],
        tasks: Tasks,
        settings: Settings,
        capacity: Slot,
    ) -> None:
        self._run = run
        self._tasks = tasks
        self._settings = settings
        self._capacity = capacity
        self._waiting: dict[Key, Waiting] = {}
        self._running: dict[Key, tuple[Slot, asyncio.Task[None]]] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> Slot:
        return self._capacity.less(total([slot for slot, _ in self._running.values()]))

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        answers = [self._take(one.task.id, one.fence, one.task.resources) for one in attempts]
        self._fill()
        return answers

    async def cancel(self, jobs: Sequence[Job]) -> None:
        stopped = {(job.task_id, job.fence) for job in jobs}
        for key in stopped:
            self._waiting.pop(key, None)
            if key in self._running:
                self._running[key][1].cancel()

    async def resume(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            task = await self._tasks.get(job.task_id, View.BASIC, EVERYONE)
            self._take(job.task_id, job.fence, task.resources)
        self._fill()

    async def close(self) -> None:
        """Leave the containers to the next start."""
        self._waiting.clear()
        running = [task for _, task in self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _take(self, task_id: TaskId, fence: int, resources: Resources) -> Answer:
        wants = self._wants(resources)
        if reason := refusal(wants, self._capacity):
            return Refuse(reason)
        key = (task_id, fence)
        if key not in self._running and key not in self._waiting:
            self._waiting[key] = Waiting(task_id, fence, wants)
        return Accept(f"{task_id}-{fence}")

    def _wants(self, resources: Resources) -> Slot:
        cpus = resources.cpu_cores or self._settings.default_cpus
        ram_gb = resources.ram_gb or self._settings.default_ram_gb
        return Slot(float(cpus), round(ram_gb * GB))

    def _fill(self) -> None:
        """Start whatever fits."""
        first = tuple(islice(self._waiting.values(), WINDOW))
        chosen, left = choose(first, self.free, most_passes=self._settings.max_passes)
        self._waiting.update((_key(one), one) for one in left)
        for one in chosen:
            del self._waiting[_key(one)]
            working = asyncio.create_task(self._work(one))
            self._running[_key(one)] = (one.wants, working)

    async def _work(self, one: Waiting) -> None:
        try:
            await self._run(one.task_id, one.fence)
        except (FunnelError, OSError):
            log.exception("attempt %d of %s did not come to its end", one.fence, one.task_id)
        finally:
            del self._running[_key(one)]
            self._fill()


def _key(one: Waiting) -> Key:
    return (one.task_id, one.fence)


def of_this_machine(settings: Settings) -> Slot:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = settings.cpus or float(len(os.sched_getaffinity(0)))
    return Slot(cpus, round(settings.ram_gb * GB) or memory)


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[LocalBackend]:
    if host.run_attempt is None or host.tasks is None:
        raise FunnelError("the local backend works only inside a server")
    backend = LocalBackend(host.run_attempt, host.tasks, settings, of_this_machine(settings))
    host.metrics.watch_queue("local", lambda: backend.waiting)
    host.metrics.watch_slots(lambda: (backend.free.cpus, backend.free.memory_bytes / GB))
    try:
        yield backend
    finally:
        await backend.close()


PLUGIN = Plugin("Local", Settings, make)
