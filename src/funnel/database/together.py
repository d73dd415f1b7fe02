"""What is written for many tasks by one statement, in the thread: most creates and acceptances."""

import sqlite3
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from funnel.core.error import FunnelError
from funnel.core.event import Accepted
from funnel.core.fold import begin, extend
from funnel.core.work import Done, caused
from funnel.database.changes import KEYS_KEPT, New
from funnel.database.claims import Claims, Fresh
from funnel.database.folded import pack_progress
from funnel.database.packed import pack, pack_created
from funnel.database.rows import as_text
from funnel.database.writer import Bulk, Cells

_NUL: Final = "\\u0000"


def make_ready(db: sqlite3.Connection) -> None:
    """Make the views through which the statements write; they go with the connection."""
    db.executescript((files("funnel.database") / "views.sql").read_text(encoding="utf-8"))


def fresh(new: New) -> Fresh:
    progress = begin(new.created)
    body = pack_created(new.created).body
    return Fresh(progress, pack_progress(progress), new.created.spec, body)


def arrival(new: New, fresh: Fresh, now: float) -> Bulk | None:
    """A task; None where it has more than usual, or texts that SQLite's JSON would cut short."""
    created, after = new.created, fresh.progress
    tags = as_text(created.spec.tags)
    if new.notes or _NUL in tags:
        return None
    (work,) = caused(None, after)
    row = (
        created.task_id,
        created.owner,
        created.queue,
        after.state.value,
        created.spec.name,
        None,
        fresh.stored,
        1,
        fresh.body,
        tags,
        as_text(work),
        new.key,
        now,
        now - KEYS_KEPT,
    )
    return Bulk((row,), created.task_id)


def acceptances(done: Sequence[Done], claims: Claims) -> Bulk | None:
    """What backends have taken; None where anything else is to be told."""
    rows = list[Cells]()
    for one in done:
        row = _acceptance(one, claims)
        if row is None:
            return None
        rows.append(row)
    return Bulk(rows, [None] * len(rows))


def _acceptance(one: Done, claims: Claims) -> Cells | None:
    before, seen, facts = one.claim.progress, claims.seen(one.claim), one.facts
    if before is None or seen is None or facts is None or len(facts.events) != 1:
        return None
    (event,) = facts.events
    if not isinstance(event, Accepted) or not event.native_id:
        return None
    try:
        after, news = extend(before, facts)
    except FunnelError:
        return None
    row = pack(after.version, news)
    if row is None or after.state is not before.state or any(caused(before, after)):
        return None
    return (
        after.task_id,
        None,
        None,
        after.state.value,
        None,
        seen,
        pack_progress(after),
        after.version,
        row.body,
        None,
        one.claim.id,
        None,
        None,
        None,
    )
