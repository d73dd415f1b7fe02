"""What a write does to the rows. Each refuses before it changes anything."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import DecodeError

from funnel.core.error import Conflict, Fenced, NotFound
from funnel.core.event import Batch, Change, Created, Logged, Printed
from funnel.core.fold import Progress, begin, extend
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.core.work import Claim, Submit, caused
from funnel.database.output import add_output, compact
from funnel.database.rows import CREATED, PROGRESS, WORK, as_text
from funnel.database.sql import statements

log = logging.getLogger(__name__)

SQL: Final = statements("sqlite.sql")
KEYS_KEPT: Final = 7 * 24 * 3600.0
"""Seconds for which an idempotency key is remembered."""


class New(Value, kw_only=True):
    """A task to create."""

    created: Created
    notes: Sequence[Logged]
    key: str


def create(db: sqlite3.Connection, new: New, now: float) -> TaskId:
    created, since = new.created, now - KEYS_KEPT
    asked = {"id": created.task_id, "owner": created.owner, "key": new.key, "since": since}
    kept = db.execute(SQL["kept"], asked).fetchone()
    if kept:
        return _same(db, TaskId(kept[0]), created)
    progress = begin(created)
    after, _ = extend(progress, Batch(task_id=created.task_id, events=(*new.notes,)))
    n = _add_task(db, created, after)
    if new.key:
        db.execute(SQL["forget_keys"], {"since": since})
        db.execute(SQL["add_key"], (created.owner, new.key, created.task_id, now))
    _add_events(db, n, 1, (created, *new.notes))
    _add_work(db, None, after, now)
    return created.task_id


def _add_task(db: sqlite3.Connection, created: Created, progress: Progress) -> int:
    row = {
        "id": created.task_id,
        "owner": created.owner,
        "queue": created.queue,
        "state": progress.state.value,
        "name": created.spec.name,
        "progress": as_text(progress),
    }
    n = db.execute(SQL["add_task"], row).lastrowid or 0
    tags = created.spec.tags
    if tags:
        db.executemany(SQL["add_tag"], [(key, value, n) for key, value in tags.items()])
        db.executemany(SQL["add_tag_key"], [(key, n) for key in tags])
    return n


def _same(db: sqlite3.Connection, kept: TaskId, created: Created) -> TaskId:
    row = db.execute(SQL["spec"], (kept,)).fetchone()
    if row is None:
        # Deleted meanwhile: what cannot be compared must still not be made a second time.
        return kept
    before = CREATED.decode(row[0])
    if (before.spec, before.owner) != (created.spec, created.owner):
        raise Conflict
    return kept


def append(db: sqlite3.Connection, batch: Batch, done: Claim | None, now: float) -> Progress:
    n, before = find_progress(db, batch.task_id)
    after, news = extend(before, batch)
    if done and not db.execute(SQL["strike_off"], (done.id, done.tries)).rowcount:
        raise Fenced("somebody else has claimed this work")
    if news:
        _add_events(db, n, before.version + 1, news)
        add_output(db, n, before.fence, news)
        _save(db, n, before, after, now)
        if is_final(after.state):
            compact(db, n)
        _add_work(db, before, after, now)
    return after


def find_progress(db: sqlite3.Connection, task_id: TaskId) -> tuple[int, Progress]:
    row = db.execute(SQL["progress"], (task_id,)).fetchone()
    if row is None:
        raise NotFound(f"no task {task_id}")
    return row[0], PROGRESS.decode(row[1])


def _add_events(
    db: sqlite3.Connection, n: int, first: int, events: Sequence[Created | Change]
) -> None:
    rows = [
        (n, seq, as_text(one))
        for seq, one in enumerate(events, first)
        if not isinstance(one, Printed)
    ]
    db.executemany(SQL["add_event"], rows)


def _save(db: sqlite3.Connection, n: int, before: Progress, after: Progress, now: float) -> None:
    moved = (before.state, before.native_id) != (after.state, after.native_id)
    row = {
        "n": n,
        "state": after.state.value,
        "active": bool(after.native_id) and not is_final(after.state),
        "progress": as_text(after),
        "ended": now if is_final(after.state) else None,
    }
    db.execute(SQL["save_move" if moved else "save_progress"], row)


def _add_work(db: sqlite3.Connection, before: Progress | None, after: Progress, now: float) -> None:
    for work in caused(before, after):
        due = now + work.pause if isinstance(work, Submit) else now
        db.execute(SQL["add_work"], (after.queue, due, as_text(work)))


def claim(db: sqlite3.Connection, queue: str, limit: int, lease: float, now: float) -> list[Claim]:
    given = {"queue": queue, "limit": limit, "lease": lease, "now": now}
    return [*_claims(db.execute(SQL["claim"], given).fetchall())]


def _claims(rows: Sequence[tuple[int, int, str]]) -> Iterator[Claim]:
    """Work that cannot be read is left to its lease, so that the rest is done."""
    for number, tries, work in sorted(rows):
        try:
            yield Claim(number, tries, WORK.decode(work))
        except DecodeError:
            log.exception("work %d of the outbox cannot be read", number)
