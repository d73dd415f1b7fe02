"""Whether containers can be run now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from funnel.core.error import FunnelError
from funnel.core.task import TaskId
from funnel.metrics import Metrics
from funnel.ports import Housekeeping

log = logging.getLogger(__name__)

EVERY: Final = timedelta(seconds=5)
SOON: Final = timedelta(seconds=1)

Work: TypeAlias = Callable[[TaskId, int], Awaitable[None]]


class Watch:
    """Looks whether the runtime answers, and holds attempts back while it does not."""

    def __init__(self, runtime: Housekeeping, metrics: Metrics) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._is_up = asyncio.Event()
        self._is_told = False

    async def forever(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep((EVERY if self._is_up.is_set() else SOON).total_seconds())

    async def once(self) -> None:
        try:
            words = await self._runtime.describe()
        except (FunnelError, OSError) as error:
            self._down(error)
        else:
            self._up(words)

    def gated(self, work: Work) -> Work:
        """The same work, begun once the runtime answers; its task is QUEUED until then."""

        async def waiting(task_id: TaskId, fence: int) -> None:
            await self._is_up.wait()
            await work(task_id, fence)

        return waiting

    def _up(self, words: str) -> None:
        if not self._is_up.is_set():
            log.info("containers run in %s", words)
        self._is_up.set()
        self._is_told = False
        self._metrics.runtime_answers(yes=True)

    def _down(self, error: Exception) -> None:
        if not self._is_told:
            log.error("no container can be run, and tasks wait: %s", error)
        self._is_up.clear()
        self._is_told = True
        self._metrics.runtime_answers(yes=False)
