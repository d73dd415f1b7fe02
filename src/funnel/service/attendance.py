"""Workers that are away from the server: who holds which attempt, and for how long."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, TypeAlias

from msgspec.structs import replace

from funnel.core.access import Caller, Operation, demand
from funnel.core.attempts import Asked, again, asked
from funnel.core.ending import ended
from funnel.core.error import (
    Busy,
    Denied,
    Fenced,
    FunnelError,
    InvalidTransition,
    NotFound,
)
from funnel.core.event import (
    Batch,
    MetadataAdded,
)
from funnel.core.fold import Progress
from funnel.core.lease import WORKER, Terms, keeps, may_hold
from funnel.core.outcome import SystemFailed
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.net.jitter import chance, jittered
from funnel.ports import Clock, Overview, Tasks
from funnel.service.audit import demand_its_attempt
from funnel.service.hold import Given, Hold, Lease
from funnel.service.hub import Hub

log = logging.getLogger(__name__)

MOST: Final = 10_000
"""Workers that may be connected at once."""

TOKEN_LASTS: Final = timedelta(days=1)
"""Those that workers get while they are connected; another comes when half of it is over."""

Key: TypeAlias = tuple[TaskId, int]


class Known(Tasks, Overview, Protocol):
    """What is needed of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """
    Gives attempts to the workers that ask for them, and takes them back from the silent.

    Who holds an attempt is kept in its metadata; how long ago that worker was heard of is known
    to this process alone, so after a start each has a whole lease again.
    """

    known: Known
    hub: Hub
    terms: Terms
    now: Clock
    database: str = ""
    """Names the one that tasks are in."""
    queue: str
    """The backend whose workers are away; empty where there is none."""
    token: Callable[[TaskId, int], str] | None = None
    """Makes one for a worker that was let in with one, before that is over."""
    clock: Callable[[], float] = time.monotonic
    luck: Callable[[], float] = chance
    _leases: dict[Key, Lease] = field(default_factory=dict[Key, Lease])

    @property
    def holding(self) -> int:
        """Attempts that workers hold now."""
        return len(self._leases)

    async def take(self, caller: Caller, task_id: TaskId, fence: int, holder: str) -> Given:
        """
        The attempt, for a worker that has it already or is the first to ask; 0 is the newest.

        Raises `Denied`, `NotFound`, `Fenced` for an attempt that is another's,
        `InvalidTransition` for a task that has ended, and `Busy` for one that is not due yet.
        """
        demand(caller, Operation.WORK)
        demand_its_attempt(caller, task_id, fence or None)
        created, progress = await self.known.created(task_id), await self.known.progress(task_id)
        demand_its_attempt(caller, task_id, progress.fence)
        self._check(progress, fence, holder)
        key = (task_id, progress.fence)
        wanted = asked(created.spec.resources.backend_parameters)
        lease = self._leases.setdefault(key, self._fresh(progress, wanted, holder))
        if lease.holder != holder:
            raise Fenced(f"attempt {progress.fence} of {task_id} is held by another worker")
        lease.hear()
        if WORKER not in progress.logs[-1].metadata:
            progress = await self._mark(progress, holder)
        hold = Hold(self.known, self.hub, progress, lease, partial(self.forget, key))
        return Given(created, progress, hold)

    async def forever(self) -> None:
        """Judge leases, beginning with those that a server before us has given."""
        resumed, pause = False, min(1.0, self.terms.lease / 10)
        while True:
            looked = self.clock()
            try:
                if not resumed:
                    await self._resume()
                resumed = True
                await self._judge()
            except Exception:
                log.exception("the leases of workers must wait")
            await asyncio.sleep(pause)
            self._excuse(self.clock() - looked - 2 * pause)

    def forget(self, key: Key) -> None:
        """It is over, or another's to take."""
        self._leases.pop(key, None)

    def _check(self, progress: Progress, fence: int, holder: str) -> None:
        task_id = progress.task_id
        if progress.queue != self.queue:
            raise Denied(
                f"{task_id} is not for workers that come for it; the server runs such tasks with"
                " Compute: external"
            )
        if fence not in (0, progress.fence):
            raise Fenced(f"{task_id} is at attempt {progress.fence}, not {fence}")
        holds = progress.logs[-1].metadata.get(WORKER) == holder
        if is_final(progress.state) and not holds:
            raise InvalidTransition(f"{task_id} is already {progress.state}")
        if not may_hold(progress.logs[-1], holder):
            raise Fenced(f"attempt {progress.fence} of {task_id} is held by another worker")
        if not progress.native_id:
            raise Busy(f"attempt {progress.fence} of {task_id} is not due yet; try again")

    def _fresh(self, progress: Progress, wanted: Asked, holder: str) -> Lease:
        return Lease(holder, wanted, self.clock, keeps=keeps(progress.logs[-1], wanted))

    async def _mark(self, progress: Progress, holder: str) -> Progress:
        key = (progress.task_id, progress.fence)
        held = MetadataAdded(progress.task_id, self.now(), {WORKER: holder})
        try:
            return await self.known.append(
                Batch(task_id=progress.task_id, events=(held,), fence=progress.fence)
            )
        except FunnelError:
            self.forget(key)
            raise

    async def _resume(self) -> None:
        for one in await self.known.unfinished(self.queue) if self.queue else ():
            holder = one.logs[-1].metadata.get(WORKER)
            if holder:
                created = await self.known.created(one.task_id)
                wanted = asked(created.spec.resources.backend_parameters)
                key = (one.task_id, one.fence)
                self._leases.setdefault(key, self._fresh(one, wanted, holder))

    async def _judge(self) -> None:
        for key, lease in list(self._leases.items()):
            if self.terms.is_over(lease.silence, keeps=lease.keeps):
                try:
                    await self._expire(key, lease)
                except (NotFound, Fenced, InvalidTransition):
                    self.forget(key)
                except (FunnelError, OSError) as error:
                    log.warning("attempt %d of %s cannot be ended: %s", key[1], key[0], error)

    async def _expire(self, key: Key, lease: Lease) -> None:
        """A container that may have run is not run again, unless the task asks for that."""
        task_id, fence = key
        progress = await self.known.progress(task_id)
        if progress.fence == fence and not is_final(progress.state):
            reason = f"worker {lease.holder} has not been heard of for {lease.silence:.0f} s"
            failed = SystemFailed(reason, passing=True)
            following = again(failed, progress.logs, lease.wanted)
            if following:
                pause = jittered(following.pause, self.luck())
                following = replace(following, pause=pause)
            events = ended(task_id, self.now(), failed, following)
            await self.known.append(Batch(task_id=task_id, events=events, fence=fence))
            log.warning("attempt %d of %s is over: %s", fence, task_id, reason)
        self.forget(key)

    def _excuse(self, late: float) -> None:
        """Nobody could be heard while the server itself was held up."""
        if late > 0:
            for lease in self._leases.values():
                lease.heard += late
