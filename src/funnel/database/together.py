"""New tasks that are written many at a time, by one statement in the thread: most are."""

import sqlite3
from importlib.resources import files
from typing import Final

from funnel.core.event import Accepted
from funnel.core.work import caused
from funnel.database.changes import KEYS_KEPT, New, begun
from funnel.database.folded import pack_progress
from funnel.database.packed import pack_accepted, pack_created
from funnel.database.rows import as_text
from funnel.database.writer import Bulk

_NUL: Final = "\\u0000"


def make_ready(db: sqlite3.Connection) -> None:
    """Make the view through which the statements write; it goes with the connection."""
    db.executescript((files("funnel.database") / "views.sql").read_text(encoding="utf-8"))


def arrival(new: New, now: float) -> Bulk | None:
    """A task; None where it has more than usual, or texts that SQLite's JSON would cut short."""
    created, notes = new.created, new.notes
    tags = as_text(created.spec.tags)
    taken = [pack_accepted(one).body for one in notes if isinstance(one, Accepted)]
    if _NUL in tags or not len(taken) == len(notes) <= 1:
        return None
    after = begun(new)
    row = (
        created.task_id,
        created.owner,
        created.queue,
        after.state.value,
        bool(after.native_id),
        created.spec.name,
        pack_progress(after),
        pack_created(created).body,
        taken[0] if taken else None,
        tags,
        next((as_text(work) for work in caused(None, after)), None),
        new.key,
        now,
        now - KEYS_KEPT,
    )
    return Bulk((row,), created.task_id)
