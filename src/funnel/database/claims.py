"""Who has claimed what of the outbox."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from funnel.core.error import Fenced
from funnel.core.fold import Progress
from funnel.core.task import Spec, TaskId
from funnel.core.value import Value
from funnel.core.work import Claim, Submit, Work
from funnel.database.damage import UNREADABLE
from funnel.database.folded import read_progress
from funnel.database.packed import read_spec
from funnel.database.rows import WORK, as_text
from funnel.database.sql import statements

_Due: TypeAlias = tuple[int, bytes]

SQL = statements("sqlite.sql")
MOST_FRESH: Final = 512
"""New tasks that are remembered until their work is claimed."""
LARGE: Final = 4096
"""Characters of a spec that is not remembered."""


@dataclass(slots=True)
class _Held:
    tries: int
    until: float
    seen: str | None = None


class Fresh(Value):
    """A new task, and as what its progress and its spec are stored."""

    progress: Progress
    stored: str
    spec: Spec
    body: str


class Claims:
    """
    Kept in memory: one server has the file, and what it has claimed is free when it dies.

    So claiming writes nothing, and waits for no commit.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Held] = {}
        self._coming: dict[TaskId, Fresh] = {}
        """On their way to the disk."""
        self._fresh: dict[TaskId, Fresh] = {}
        self.unreadable = list[int]()
        """Work that was claimed, and could not be read."""

    def expect(self, fresh: Fresh) -> None:
        """It is about to be stored, and need not be read again when its work is claimed."""
        if len(fresh.body) <= LARGE:
            self._coming[fresh.progress.task_id] = fresh

    def expect_no_more(self, task_id: TaskId) -> None:
        """It is stored, or never will be."""
        self._coming.pop(task_id, None)

    def stored(self, tasks: Sequence[TaskId]) -> None:
        """
        A commit was about them. For those that we expect it was their first.

        Others have moved on since they were created, and are read when their work is claimed.
        """
        for task_id in tasks:
            fresh = self._coming.pop(task_id, None)
            if fresh is None:
                self._fresh.pop(task_id, None)
                continue
            if len(self._fresh) >= MOST_FRESH:
                del self._fresh[next(iter(self._fresh))]
            self._fresh[task_id] = fresh

    def take(
        self, db: sqlite3.Connection, queue: str, limit: int, lease: float, now: float
    ) -> list[Claim]:
        """What is due and nobody's, the oldest first; ours for `lease` seconds."""
        held = [number for number, one in self._known.items() if one.until > now]
        given = {"queue": queue, "now": now, "held": as_text(held), "limit": limit}
        rows = db.execute(SQL["due"], given).fetchall()
        claims = [self._claimed(db, row, now + lease) for row in rows]
        return [claim for claim in claims if claim]

    def check(self, claim: Claim) -> None:
        """Raise `Fenced` where somebody else has claimed it since."""
        held = self._known.get(claim.id)
        if held is None or held.tries != claim.tries:
            raise Fenced("somebody else has claimed this work")

    def seen(self, claim: Claim) -> str | None:
        """
        The progress of its task, as it was stored when the work was claimed.

        None where the task was gone, or the claim is not the newest.
        """
        held = self._known.get(claim.id)
        return held.seen if held and held.tries == claim.tries else None

    def mended(self, number: int) -> None:
        """It may be claimed again at once, if it is still there."""
        self._known.pop(number, None)

    def let_go(self, claim: Claim) -> None:
        held = self._known.get(claim.id)
        if held and held.tries == claim.tries:
            held.until = 0.0

    def forget(self, claims: Sequence[Claim]) -> None:
        """They have been struck off."""
        for claim in claims:
            self._known.pop(claim.id, None)

    def _claimed(self, db: sqlite3.Connection, row: _Due, until: float) -> Claim | None:
        """None for what cannot be read, so that the rest is done."""
        number, text = row
        held = self._known.setdefault(number, _Held(0, 0.0))
        held.tries, held.until = held.tries + 1, until
        try:
            work = WORK.decode(text)
            held.seen, progress, spec = self._task(db, work)
        except UNREADABLE:
            self.unreadable.append(number)
            return None
        return Claim(id=number, tries=held.tries, work=work, progress=progress, spec=spec)

    def _task(
        self, db: sqlite3.Connection, work: Work
    ) -> tuple[str | None, Progress | None, Spec | None]:
        """How far it has come, as it is stored, too, and for a `Submit` what it asks for."""
        # Work that is there was stored, even where nobody has told us yet.
        fresh = self._coming.pop(work.task_id, None) or self._fresh.pop(work.task_id, None)
        if fresh:
            return fresh.stored, fresh.progress, fresh.spec
        row = db.execute(SQL["claimed"], (work.task_id,)).fetchone()
        if row is None:
            return None, None, None
        n, stored = row
        progress = read_progress(stored)
        first = db.execute(SQL["first"], (n,)).fetchone() if isinstance(work, Submit) else None
        return stored.decode(), progress, read_spec(first[0]) if first else None
