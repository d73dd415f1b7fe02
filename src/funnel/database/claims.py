"""Who has claimed what of the outbox."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from funnel.core.error import Fenced
from funnel.core.fold import Progress
from funnel.core.task import Spec
from funnel.core.work import Claim, Submit, Work
from funnel.database.damage import UNREADABLE
from funnel.database.folded import read_progress
from funnel.database.packed import read_spec
from funnel.database.rows import WORK, as_text
from funnel.database.sql import statements

_Due: TypeAlias = tuple[int, bytes]

SQL = statements("sqlite.sql")


@dataclass(slots=True)
class _Held:
    tries: int
    until: float


class Claims:
    """
    Kept in memory: one server has the file, and what it has claimed is free when it dies.

    So claiming writes nothing, and waits for no commit.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Held] = {}
        self.unreadable = list[int]()
        """Work that was claimed, and could not be read."""

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
            progress, spec = _task(db, work)
        except UNREADABLE:
            self.unreadable.append(number)
            return None
        return Claim(id=number, tries=held.tries, work=work, progress=progress, spec=spec)


def _task(db: sqlite3.Connection, work: Work) -> tuple[Progress | None, Spec | None]:
    """How far it has come, and for a `Submit` what it asks for."""
    row = db.execute(SQL["claimed"], (work.task_id,)).fetchone()
    if row is None:
        return None, None
    n, stored = row
    first = db.execute(SQL["first"], (n,)).fetchone() if isinstance(work, Submit) else None
    return read_progress(stored), read_spec(first[0]) if first else None
