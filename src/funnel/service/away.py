"""One attempt, run by a worker that is away from its server."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from funnel.core.attempts import again, asked
from funnel.core.ending import ended
from funnel.core.error import FunnelError
from funnel.core.outcome import SystemFailed
from funnel.core.task import TaskId
from funnel.net.jitter import chance, jittered
from funnel.ports import Record
from funnel.service.journal import Journal
from funnel.service.remains import image_of
from funnel.service.worker import Worker

log = logging.getLogger(__name__)

LAST_WORDS: Final = 10.0
"""Seconds in which the server may be told why a worker was stopped."""


class Attempt(Record, Protocol):
    """What `Record` asks, for one attempt; `over` says why it is not ours any more."""

    @property
    def fence(self) -> int: ...
    async def over(self) -> FunnelError: ...


@dataclass(frozen=True, slots=True)
class Away:
    """Runs an attempt to its end, or until it is another's, or somebody stops the worker."""

    worker: Worker
    attempt: Attempt
    task_id: TaskId
    luck: Callable[[], float] = chance

    async def run(self, stop: asyncio.Event) -> None:
        """Nothing is left behind, but by a worker that was killed."""
        fence = self.attempt.fence
        await clear_attempts(self.worker, self.task_id, lambda one: one < fence)
        working = asyncio.ensure_future(self.worker.run(self.task_id, self.attempt.fence))
        over = asyncio.ensure_future(self.attempt.over())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({working, over, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if over.done() and not working.done():
            log.info("%s: the attempt is over: %s", self.task_id, over.result())
            await _stopped(working)
        elif not working.done():
            await _stopped(working)
            await self._give_up("its worker was told to stop")
        elif working.exception():
            log.error("the worker failed", exc_info=working.exception())
            await self._give_up(f"its worker failed: {working.exception()!r}")
        for one in (over, stopping):
            one.cancel()

    async def _give_up(self, reason: str) -> None:
        """Nothing runs any more when the server hears of it."""
        with suppress(FunnelError, OSError):
            async with asyncio.timeout(LAST_WORDS):
                created = await self.attempt.created(self.task_id)
                fence = self.attempt.fence
                remains = self.worker.remains(self.task_id, fence, image_of(created.spec))
                await remains.clear()
        with suppress(FunnelError, OSError):
            async with asyncio.timeout(LAST_WORDS):
                await self._report(SystemFailed(reason, passing=True))

    async def _report(self, failed: SystemFailed) -> None:
        created = await self.attempt.created(self.task_id)
        progress = await self.attempt.progress(self.task_id)
        wanted = asked(created.spec.resources.backend_parameters)
        following = again(failed, progress.logs, wanted)
        if following:
            following = replace(following, pause=jittered(following.pause, self.luck()))
        events = ended(self.task_id, self.worker.now(), failed, following)
        await Journal(self.attempt, progress).record(*events)


async def clear_attempts(worker: Worker, task_id: TaskId, of: Callable[[int], bool]) -> None:
    """Remove what is here of attempts of a task, of all for which `of` says so; it may block."""

    def chosen() -> list[int]:
        return [fence for fence in _left(worker, task_id) if of(fence)]

    for fence in await asyncio.to_thread(chosen):
        owner = await asyncio.to_thread(worker.place(task_id, fence).owner)
        await worker.remains(task_id, fence, owner.image if owner else "").clear()


def _left(worker: Worker, task_id: TaskId) -> Iterator[int]:
    with suppress(FileNotFoundError):
        for one in Path(worker.settings.work_dir, task_id).iterdir():
            if one.name.isdecimal():
                yield int(one.name)


async def _stopped(working: asyncio.Future[None]) -> None:
    working.cancel()
    await asyncio.wait({working})
