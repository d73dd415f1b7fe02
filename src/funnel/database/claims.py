"""Who has claimed what of the outbox."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from funnel.core.error import Fenced
from funnel.core.work import Claim
from funnel.database.damage import UNREADABLE
from funnel.database.folded import read_progress
from funnel.database.packed import read_spec
from funnel.database.rows import WORK
from funnel.database.sql import statements

_Due: TypeAlias = tuple[int, bytes, int, bytes | None, bytes | None]
Seen: TypeAlias = tuple[int, bytes]
"""The number of a task, and its progress as it was stored when work for it was claimed."""

SQL = statements("sqlite.sql")


@dataclass(slots=True)
class _Held:
    tries: int
    until: float
    seen: Seen | None = None


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
        held = sum(one.until > now for one in self._known.values())
        given = {"queue": queue, "now": now, "limit": limit + held}
        rows = db.execute(SQL["due"], given).fetchall()
        free = [row for row in rows if self._is_free(row[0], now)][:limit]
        claims = [self._claimed(row, now + lease) for row in free]
        return [claim for claim in claims if claim]

    def check(self, claim: Claim) -> None:
        """Raise `Fenced` where somebody else has claimed it since."""
        held = self._known.get(claim.id)
        if held is None or held.tries != claim.tries:
            raise Fenced("somebody else has claimed this work")

    def seen(self, claim: Claim) -> Seen | None:
        """None where its task was gone, or the claim is not the newest."""
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

    def _is_free(self, number: int, now: float) -> bool:
        held = self._known.get(number)
        return held is None or held.until <= now

    def _claimed(self, row: _Due, until: float) -> Claim | None:
        """None for what cannot be read, so that the rest is done."""
        number, work, n, progress, created = row
        held = self._known.setdefault(number, _Held(0, 0.0))
        held.tries, held.until = held.tries + 1, until
        held.seen = (n, progress) if progress else None
        try:
            return Claim(
                id=number,
                tries=held.tries,
                work=WORK.decode(work),
                progress=read_progress(progress) if progress else None,
                spec=read_spec(created) if created else None,
            )
        except UNREADABLE:
            self.unreadable.append(number)
            return None
