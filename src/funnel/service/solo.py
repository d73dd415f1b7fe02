"""One task without a database: for a worker that runs by itself."""

import asyncio
from collections.abc import Awaitable, Callable

from funnel.core.container import Stream
from funnel.core.event import Batch, Change, Created, Printed, Requeued, StateChanged
from funnel.core.fold import Progress, begin, extend
from funnel.core.state import State, is_final
from funnel.core.task import Spec, Task, TaskId
from funnel.core.view import full
from funnel.ports import Clock

Where = tuple[int, int, Stream]


class Solo:
    """Answers what a worker asks of `ports.Tasks`, for a single task, in memory."""

    def __init__(self, task_id: TaskId, spec: Spec, now: Clock) -> None:
        self.task_id = task_id
        self._now = now
        self._created = Created(task_id, now(), spec, "", "solo")
        self._progress = begin(self._created)
        self._events: list[Change] = []
        self._printed: dict[Where, tuple[Printed, ...]] = {}

    @property
    def task(self) -> Task:
        pieces: dict[int, list[Printed]] = {}
        for (fence, _, _), said in self._printed.items():
            pieces.setdefault(fence, []).extend(said)
        return full(self._created, self._progress, self._events, pieces)

    async def run(self, work: Callable[[TaskId, int], Awaitable[object]]) -> Task:
        """
        The task as it ended. Nobody comes after us, so to stop this is to cancel the task.

        Stopped, it raises `CancelledError` when nothing is left to stop.
        """
        working = asyncio.ensure_future(self._to_its_end(work))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            if not is_final(self._progress.state):
                canceled = StateChanged(self.task_id, self._now(), State.CANCELED)
                await self.append(Batch(task_id=self.task_id, events=(canceled,)))
            working.cancel()
            await asyncio.wait({working})
            raise
        return self.task

    async def _to_its_end(self, work: Callable[[TaskId, int], Awaitable[object]]) -> None:
        """One attempt after the other, as long as one calls for the next."""
        fence = 0
        while self._progress.fence > fence:
            fence = self._progress.fence
            await asyncio.sleep(self._progress.pause)
            await work(self.task_id, fence)

    async def created(self, _task_id: TaskId) -> Created:
        return self._created

    async def progress(self, _task_id: TaskId) -> Progress:
        return self._progress

    async def append(self, batch: Batch) -> Progress:
        attempt = self._progress.fence
        self._progress, news = extend(self._progress, batch)
        for one in news:
            if isinstance(one, Printed):
                self._print(attempt, one)
            else:
                self._events.append(one)
                attempt += isinstance(one, Requeued)
        return self._progress

    def _print(self, attempt: int, piece: Printed) -> None:
        """Keep it, and forget what lies before all that need be kept."""
        where = (attempt, piece.index, piece.stream)
        before = self._printed.get(where, ())
        kept = (*(one for one in before if one.start < piece.start), piece)
        self._printed[where] = tuple(one for one in kept if one.end > piece.end - piece.keep)
