"""One task without a database: for a worker that runs by itself."""

from funnel.core.container import Stream
from funnel.core.event import Batch, Change, Created, Printed
from funnel.core.fold import Progress, begin, extend
from funnel.core.query import Scope, View
from funnel.core.task import Spec, Task, TaskId
from funnel.core.view import full
from funnel.ports import Clock

Where = tuple[int, Stream]


class Solo:
    """Answers what a worker asks of `ports.Tasks`, for a single task, in memory."""

    def __init__(self, task_id: TaskId, spec: Spec, now: Clock) -> None:
        self.task_id = task_id
        self._created = Created(task_id, now(), spec, "", "solo")
        self._progress = begin(self._created)
        self._events: list[Change] = []
        self._printed: dict[Where, tuple[Printed, ...]] = {}

    @property
    def task(self) -> Task:
        pieces = [one for said in self._printed.values() for one in said]
        return full(self._created, self._progress, self._events, {1: pieces})

    async def get(self, _task_id: TaskId, _view: View, _scope: Scope) -> Task:
        return self.task

    async def progress(self, _task_id: TaskId) -> Progress:
        return self._progress

    async def append(self, batch: Batch) -> Progress:
        self._progress, news = extend(self._progress, batch)
        for one in news:
            if isinstance(one, Printed):
                self._print(one)
            else:
                self._events.append(one)
        return self._progress

    def _print(self, piece: Printed) -> None:
        """Keep it, and forget what lies before all that need be kept."""
        where = (piece.index, piece.stream)
        before = self._printed.get(where, ())
        kept = (*(one for one in before if one.start < piece.start), piece)
        self._printed[where] = tuple(one for one in kept if one.end > piece.end - piece.keep)
