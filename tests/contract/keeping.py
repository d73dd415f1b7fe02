"""What a database must keep, as dictionaries: the model that the real one is compared with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from funnel.core.error import Conflict, InvalidTransition, NotFound
from funnel.core.event import Batch, Change, Created, Printed, Recorded
from funnel.core.fold import Progress, begin, extend
from funnel.core.query import Query
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.core.work import Work, caused


@dataclass
class Kept:
    created: Created
    progress: Progress
    ended: int | None = None
    """The day."""


@dataclass
class Errand:
    work: Work
    held: bool = False


@dataclass
class Model:
    """Raises what the database shall raise, before it changes anything."""

    tasks: dict[TaskId, Kept] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[Created, int]] = field(default_factory=dict)
    """With the day of each."""
    errands: list[Errand] = field(default_factory=list)
    feed: list[Recorded] = field(default_factory=list)
    told: int = 0
    day: int = 0

    def create(self, created: Created, key: str) -> TaskId:
        before, day = self.keys.get((created.owner, key), (None, 0)) if key else (None, 0)
        if before and self.day - day < 7:
            if before.task_id in self.tasks and before.spec != created.spec:
                raise Conflict
            return before.task_id
        progress = begin(created)
        self.tasks[created.task_id] = Kept(created, progress)
        if key:
            self.keys[created.owner, key] = (created, self.day)
        self._tell(1, (created,))
        self._cause(None, progress)
        return created.task_id

    def append(self, batch: Batch) -> Progress:
        kept = self._find(batch.task_id)
        before = kept.progress
        after, news = extend(before, batch)
        kept.progress = after
        self._tell(before.version + 1, news)
        self._cause(before, after)
        if is_final(after.state) and kept.ended is None:
            kept.ended = self.day
        return after

    def delete(self, task_id: TaskId) -> None:
        if not is_final(self._find(task_id).progress.state):
            raise InvalidTransition
        del self.tasks[task_id]
        self.feed = [told for told in self.feed if told.event.task_id != task_id]

    def delete_ended(self, days: int) -> int:
        due = [
            task_id
            for task_id, kept in self.tasks.items()
            if kept.ended is not None and kept.ended < self.day - days
        ]
        for task_id in due:
            self.delete(task_id)
        return len(due)

    def listed(self, query: Query) -> Iterator[TaskId]:
        for task_id, kept in reversed(self.tasks.items()):
            spec = kept.created.spec
            if (
                query.scope.owner in (None, kept.created.owner)
                and query.state in (None, kept.progress.state)
                and spec.name.startswith(query.name_prefix)
                and all(k in spec.tags and v in ("", spec.tags[k]) for k, v in query.tags)
            ):
                yield task_id

    def _find(self, task_id: TaskId) -> Kept:
        if task_id not in self.tasks:
            raise NotFound
        return self.tasks[task_id]

    def _tell(self, first: int, events: Sequence[Created | Change]) -> None:
        for seq, event in enumerate(events, first):
            if not isinstance(event, Printed):
                self.told += 1
                self.feed.append(Recorded(self.told, seq, event))

    def _cause(self, before: Progress | None, after: Progress) -> None:
        self.errands += [Errand(work) for work in caused(before, after)]
