"""An attempt in the hands of one connection of a worker that is away from the server."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from funnel.core.attempts import Asked
from funnel.core.error import Fenced, FunnelError, Invalid, InvalidTransition, NotFound
from funnel.core.event import (
    Accepted,
    Batch,
    Change,
    Created,
    MetadataAdded,
    Requeued,
    StateChanged,
)
from funnel.core.fold import Progress
from funnel.core.lease import WORKER, keeps
from funnel.core.state import State, is_final
from funnel.core.task import TaskId
from funnel.ports import Tasks
from funnel.service.hub import Hub, Watcher

LOOK_AGAIN: Final = 60.0
BREATH: Final = 0.2
"""Seconds in which news of a task gather before it is looked at."""


class Lease:
    """Who holds an attempt, what for, and when that worker was heard of, by the server's clock."""

    __slots__ = ("clock", "heard", "holder", "keeps", "wanted")

    def __init__(
        self, holder: str, wanted: Asked, clock: Callable[[], float], *, keeps: bool
    ) -> None:
        self.holder = holder
        self.wanted = wanted
        self.clock = clock
        self.keeps = keeps
        self.hear()

    def hear(self) -> None:
        """The worker is there."""
        self.heard = self.clock()

    @property
    def silence(self) -> float:
        """Seconds."""
        return self.clock() - self.heard


class Hold:
    """`done` is called when the attempt is over."""

    def __init__(
        self, tasks: Tasks, hub: Hub, progress: Progress, lease: Lease, done: Callable[[], None]
    ) -> None:
        self.lease = lease
        self._tasks = tasks
        self._hub = hub
        self._done = done
        self._key = (progress.task_id, progress.fence)
        self._was_over = is_final(progress.state)
        self._is_done = False
        self._turn = asyncio.Lock()
        self._begun = self._current = 0

    async def state(self) -> State | None:
        """How the task has ended, if it has."""
        with suppress(FunnelError, OSError):
            progress = await self._tasks.progress(self._key[0])
            return progress.state if is_final(progress.state) else None
        return None

    async def append(self, events: Sequence[Change], first: int) -> int:
        """Keep them; up to which number the attempt is known then. Raises as `Tasks.append`."""
        task_id, fence = self._key
        _refuse_foreign(events, task_id)
        batch = Batch(task_id=task_id, events=tuple(events), fence=fence, first=first)
        async with self._turn:
            self._begun += 1
            after = await self._tasks.append(batch)
        if after.fence != fence or is_final(after.state):
            self._is_done = self._is_done or any(map(_is_end, events))
            self._done()
        else:
            self._current = self._begun
            self.lease.keeps = keeps(after.logs[-1], self.lease.wanted)
        return after.heard if after.fence == fence else first + len(events) - 1

    async def over(self) -> FunnelError:
        """Why the attempt is not the worker's any more, as soon as others have made it so."""
        with self._hub.watch(self._key[0]) as watch:
            while not (why := await self._ended()):
                await self._news(watch)
        return why

    async def _news(self, watch: Watcher) -> None:
        """Return when there is something to look at, other than what this worker has said."""
        while True:
            woken = await watch.news(LOOK_AGAIN)
            if watch.over:
                await _for_ever()
            begun = self._begun
            await asyncio.sleep(BREATH)
            async with self._turn:
                # What was begun since then, was answered with all that had happened before.
                if not woken or self._current <= begun:
                    return

    async def _ended(self) -> FunnelError | None:
        task_id, fence = self._key
        if self._is_done:
            await _for_ever()
        try:
            progress = await self._tasks.progress(task_id)
        except NotFound as gone:
            return gone
        except (FunnelError, OSError):
            return None
        if progress.fence != fence:
            return Fenced(f"{task_id} is at attempt {progress.fence}, not {fence}")
        if is_final(progress.state) and not self._was_over:
            return InvalidTransition(f"{task_id} is already {progress.state}")
        return None


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _is_end(event: Change) -> bool:
    return isinstance(event, Requeued) or (
        isinstance(event, StateChanged) and is_final(event.state)
    )


def _refuse_foreign(events: Sequence[Change], task_id: TaskId) -> None:
    """Raises `Invalid` for what no worker says, or says of another task."""
    for one in events:
        if one.task_id != task_id:
            raise Invalid(f"this worker speaks for {task_id}, not for {one.task_id}")
        if isinstance(one, Accepted) or (isinstance(one, MetadataAdded) and WORKER in one.metadata):
            raise Invalid("who holds an attempt is not for its worker to say")


@dataclass(frozen=True, slots=True)
class Given:
    """What a worker gets that comes for its attempt."""

    created: Created
    progress: Progress
    hold: Hold
