"""Cleaning up what nobody works on any more."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from funnel.core.container import LABEL_ATTEMPT, LABEL_TASK, Found
from funnel.core.error import FunnelError, NotFound
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.ports import Runtime, Tasks
from funnel.service.remains import attempt_of

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=1)
NOW = timedelta(0)


class Sweep:
    """
    Removes containers of this deployment whose attempt is over or unknown.

    One that was first seen less than `grace` ago is left alone: its mark may be on its way. The
    engine's own word for its age is worth nothing when a clock jumps. One that runs has
    `stop_grace` to end, as it has with its worker. `clock` counts seconds. What is unknown here is
    left alone where `is_foreign`, asked for task and attempt, says that another server may know it.
    """

    def __init__(
        self,
        tasks: Tasks,
        runtime: Runtime,
        *,
        stop_grace: timedelta,
        is_foreign: Callable[[TaskId, int], Awaitable[bool]],
        grace: timedelta = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._first_seen: dict[str, float] = {}
        self._tasks = tasks
        self._runtime = runtime
        self._stop_grace = stop_grace
        self._is_foreign = is_foreign
        self._grace = grace

    async def forever(self, every: timedelta) -> None:
        while True:
            try:
                await self.once()
            except (FunnelError, OSError) as error:
                log.warning("the sweep must wait: %s", error)
            await asyncio.sleep(every.total_seconds())

    async def once(self) -> None:
        for one in self._seen_long(await self._runtime.found()):
            if await self._is_over(one):
                await self._remove(one)

    def _seen_long(self, found: Sequence[Found]) -> Sequence[Found]:
        now, before = self._clock(), self._first_seen
        self._first_seen = {one.id: before.get(one.id, now) for one in found}
        grace = self._grace.total_seconds()
        return [one for one in found if now - self._first_seen[one.id] >= grace]

    async def _remove(self, one: Found) -> None:
        log.info("removing container %s, which nobody works on", one.name)
        try:
            grace = self._stop_grace if one.running else NOW
            await self._runtime.remove(one.id, grace=grace)
        except (FunnelError, OSError) as error:
            log.warning("container %s stays for now: %s", one.name, error)

    async def _is_over(self, one: Found) -> bool:
        task_id = one.labels.get(LABEL_TASK)
        if task_id is None:
            # One of the short-lived ones, which look into an image or clean up.
            return not one.running
        try:
            progress = await self._tasks.progress(TaskId(task_id))
        except NotFound:
            return not await self._is_foreign(TaskId(task_id), attempt_of(one))
        return is_final(progress.state) or str(progress.fence) != one.labels.get(LABEL_ATTEMPT)
