"""Where tasks are kept, and how those read them who run, show or watch them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from funnel.core.error import FunnelError
from funnel.core.event import Accepted, Batch, Created, Logged, Recorded
from funnel.core.fold import Progress
from funnel.core.output import Piece, Place
from funnel.core.query import Listing, Query, Scope, View
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.core.work import Claim, Done


class Tasks(Protocol):
    """
    Tasks and their events.

    What a method has answered is on disk. A call that raises anything but a `FunnelError`
    may or may not have happened: make it again. An adapter never decides what an event
    means: inside one transaction it reads the progress, calls `core.fold.extend` and
    `core.work.caused`, and stores what they return. SQLite has one writer; PostgreSQL
    locks the row (`SELECT … FOR UPDATE`), or stores where the version is still the one it
    read, and begins again where it is not. Its unique `(task_id, seq)` is the second wall.
    """

    async def create(
        self,
        created: Created,
        *,
        notes: Sequence[Logged | Accepted] = (),
        key: str = "",
        stored: Callable[[], object] | None = None,
    ) -> TaskId:
        """
        Keep a new task, its first event, the `notes` about it and the work that it causes.

        `stored` is called once it is on disk, even where the caller has gone since; never for a
        task that was there before. What of its URLs gives access (`core.hiding`) is only in what
        `created` answers.

        A `key` (idempotency key) belongs to the owner. When the key or the id has been
        here before, the answer is the first task's id; with another spec, `Conflict`.
        """
        ...

    async def get(self, task_id: TaskId, view: View, scope: Scope) -> Task:
        """Raise `NotFound` for a task that is absent or out of scope, alike."""
        ...

    async def created(self, task_id: TaskId) -> Created:
        """How the task began, with whole URLs, for those who run it. Raises `NotFound`."""
        ...

    async def progress(self, task_id: TaskId) -> Progress:
        """How far the task has come, for those who run it. Raises `NotFound`."""
        ...

    async def append(self, batch: Batch) -> Progress:
        """
        Keep the events, the progress they lead to and the work they cause.

        Events of one task keep the order of their calls. Raises `NotFound`,
        `InvalidTransition`, `Gap` when events before these are missing, or `Fenced` when
        the attempt is no longer ours; then nothing of the batch is kept.
        """
        ...

    async def delete(self, task_id: TaskId) -> None:
        """
        Forget a task that has ended: its events, its output, everything but its key.

        A key that made it still answers with its id, for as long as keys are remembered. What
        waits in the outbox stays. Raises `NotFound`, and `InvalidTransition` for a task that
        has not ended.
        """
        ...


class Documents(Protocol):
    """Tasks as their readers get them: TES JSON, which `wire.document` puts together."""

    async def show(self, task_id: TaskId, view: View, scope: Scope) -> bytes:
        """Raise `NotFound` for a task that is absent or out of scope, alike."""
        ...

    async def list_tasks(self, query: Query) -> Listing:
        """
        Newest first, from after `page_token`; a deep page costs what the first does.

        Every filter, alone or with others, is answered from an index. Raises `Invalid` for
        a token that this database did not make.
        """
        ...


class Record(Protocol):
    """What a worker needs of `Tasks`; also there for a worker without any database."""

    async def created(self, task_id: TaskId, /) -> Created: ...
    async def progress(self, task_id: TaskId, /) -> Progress: ...
    async def append(self, batch: Batch, /) -> Progress: ...


class Overview(Protocol):
    """Looking over all tasks at once, for the server's own loops and its metrics."""

    async def unfinished(self, queue: str) -> Sequence[Progress]:
        """The tasks of a queue that a backend has accepted and that are not final, oldest first."""
        ...

    async def counts(self) -> Mapping[State, int]:
        """How many tasks are in each state; a state without tasks may be missing."""
        ...

    async def delete_ended(self, longer_than: timedelta, *, limit: int) -> int:
        """
        Forget tasks that ended longer ago, the longest first; how many that were.

        As `Tasks.delete` does. A reader of the feed that has not come to their events by then
        misses them.
        """
        ...

    async def broken(self) -> str:
        """
        Return, with the reason, when nothing can be kept any more; wait for ever till then.

        The way out is to exit and start again, as after a failed sync of the disk.
        """
        ...


class Commits(Protocol):
    async def wait(self, seen: int, *, within: timedelta) -> int:
        """
        Return when there was a commit since `seen`, or time is up; give the answer next time.

        A look that changed nothing is no commit, so a loop does not wake itself. Only a
        hint: commits of other servers arrive by `LISTEN`/`NOTIFY` or not at all, so
        callers look for work after each return, whatever the answer.
        """
        ...


class Outbox(Commits, Protocol):
    """Work for the outside, put there by `Tasks` in the transaction that caused it."""

    async def claim(self, queue: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        """
        The oldest due work of a queue, ours alone until the lease is over.

        No two callers get the same row. SQLite, which has one server, remembers claims in
        memory; with many servers it is one `UPDATE … RETURNING` with `FOR UPDATE SKIP
        LOCKED`. The clock is the database's; callers give durations, never instants. Work
        that is not settled comes back by itself.
        """
        ...

    async def settle(self, done: Sequence[Done]) -> Sequence[FunnelError | None]:
        """
        Strike off each, and keep with it what its task shall hear, as `Tasks.append` does.

        One answer each, in order: None, or why nothing of this one was kept; `Fenced` where the
        claim is no longer ours. What is settled may wait a moment for others to share a commit.
        """
        ...

    async def release(self, claim: Claim, *, after: timedelta) -> None:
        """Give work back, to be claimed again later. Does nothing if it is no longer ours."""
        ...


class Marks(Protocol):
    """How far those have come who read the events of all tasks and must miss none."""

    async def mark(self, reader: str) -> int | None:
        """The position up to which a reader has read; None for one that is new."""
        ...

    async def mark_read(self, reader: str, position: int) -> None:
        """Never moves back."""
        ...


class Live(Protocol):
    """What those read who watch tasks, and how they are woken."""

    def on_commit(self, heard: Callable[[Sequence[TaskId]], None]) -> None:
        """
        From now on, call this after each commit with the tasks that it changed.

        SQLite's one writer knows them. PostgreSQL sends them with `NOTIFY` in the transaction
        and hears them by `LISTEN`, so that commits of other servers are told too. Only a
        hint, as in `Commits`: who is told nothing for long looks again.
        """
        ...

    async def newest(self) -> int:
        """The position of the last event of all; 0 where there is none."""
        ...

    async def events(
        self, scope: Scope, *, after: int, limit: int
    ) -> tuple[Sequence[Recorded], int]:
        """
        Look at so many events after a position: those in scope, and the last one's position.

        All events but output, in the order of their commits. PostgreSQL hands out positions
        before commit, so it must stop below `pg_snapshot_xmin(pg_current_snapshot())`, or a
        late commit would be skipped.
        """
        ...

    async def events_of(self, task_id: TaskId, *, after: int, limit: int) -> Sequence[Recorded]:
        """The events of a task after a position; none where there is no such task."""
        ...

    async def printed(self, task_id: TaskId, place: Place) -> Sequence[Piece]:
        """What is kept of its output that is not all before a place, in the order of places."""
        ...


class Feed(Commits, Marks, Live, Protocol):
    """What sinks are told from."""


class Database(Tasks, Documents, Overview, Outbox, Feed, Protocol):
    """Everything that must outlive the server. A service asks only for the part it uses."""
