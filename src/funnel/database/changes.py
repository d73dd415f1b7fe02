"""What a write does to the rows. Each refuses before it changes anything."""

import sqlite3
from collections.abc import Sequence
from functools import reduce
from typing import Final

from msgspec.structs import replace

from funnel.core.error import Conflict, Fenced, FunnelError, NotFound
from funnel.core.event import Accepted, Batch, Change, Created, Logged
from funnel.core.fold import Progress, apply, begin, extend
from funnel.core.hiding import secrets_of, without
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.core.work import Done, Submit, caused
from funnel.database.claims import Claims
from funnel.database.damage import Damaged, reading
from funnel.database.folded import pack_progress
from funnel.database.output import add_output, compact
from funnel.database.packed import Row, Whose, pack, pack_created, read_created
from funnel.database.rows import as_text, read_listed
from funnel.database.secret import given, stored
from funnel.database.sql import statements

SQL: Final = statements("sqlite.sql")
KEYS_KEPT: Final = 7 * 24 * 3600.0
"""Seconds for which an idempotency key is remembered."""


class New(Value, kw_only=True):
    """A task to create."""

    created: Created
    notes: Sequence[Logged | Accepted]
    key: str


def create(db: sqlite3.Connection, new: New, now: float) -> TaskId:
    created, since = new.created, now - KEYS_KEPT
    if new.key:
        kept = db.execute(SQL["kept"], (created.owner, new.key, since)).fetchone()
        if kept:
            return _same(db, TaskId(kept[0]), created)
    after = begun(new)
    n = _add_task(db, created, after)
    if not n:
        return _same(db, created.task_id, created)
    if new.key:
        db.execute(SQL["forget_keys"], {"since": since})
        db.execute(SQL["add_key"], (created.owner, new.key, created.task_id, now))
    secrets = secrets_of(created.spec)
    _add_row(db, n, pack_created(replace(created, spec=without(created.spec, secrets))))
    if secrets:
        db.execute(SQL["add_secret"], (n, stored(secrets)))
    _add_events(db, n, 2, new.notes)
    _add_work(db, None, after, now)
    return created.task_id


def begun(new: New) -> Progress:
    return reduce(apply, new.notes, begin(new.created))


def _add_task(db: sqlite3.Connection, created: Created, progress: Progress) -> int:
    """The number of its row; 0 where there is one of that id already."""
    row = {
        "id": created.task_id,
        "owner": created.owner,
        "queue": created.queue,
        "state": progress.state.value,
        "active": bool(progress.native_id),
        "name": created.spec.name,
        "progress": pack_progress(progress),
    }
    added = db.execute(SQL["add_task"], row)
    if not added.rowcount:
        return 0
    n = added.lastrowid or 0
    tags = created.spec.tags
    if tags:
        db.executemany(SQL["add_tag"], [(key, value, n) for key, value in tags.items()])
        db.executemany(SQL["add_tag_key"], [(key, n) for key in tags])
    return n


def _same(db: sqlite3.Connection, kept: TaskId, created: Created) -> TaskId:
    try:
        before = find_created(db, kept)
    except NotFound:
        # Deleted meanwhile: what cannot be compared must still not be made a second time.
        return kept
    if (before.spec, before.owner) != (created.spec, created.owner):
        raise Conflict
    return kept


def append(db: sqlite3.Connection, batch: Batch, now: float, *, done: int = 0) -> Progress:
    """With it, work `done` of the outbox is struck off; 0 is none."""
    n, before = find_progress(db, batch.task_id)
    try:
        after, news = extend(before, batch)
        if done:
            _strike_off(db, done)
        _add_events(db, n, before.version + 1, news)
    except (IndexError, OverflowError, sqlite3.IntegrityError) as error:
        # A progress that can be read, and contradicts the events.
        raise Damaged([n]) from error
    if news:
        add_output(db, n, before.fence, news)
        _save(db, n, before, after, now)
        if is_final(after.state):
            compact(db, n)
        _add_work(db, before, after, now)
    return after


def settle(
    db: sqlite3.Connection, done: Sequence[Done], claims: Claims, now: float
) -> list[FunnelError | None]:
    def settled(one: Done) -> FunnelError | None:
        try:
            claims.check(one.claim)
            if one.facts:
                append(db, one.facts, now, done=one.claim.id)
            else:
                _strike_off(db, one.claim.id)
        except FunnelError as refusal:
            return refusal
        return None

    return [settled(one) for one in done]


def _strike_off(db: sqlite3.Connection, number: int) -> None:
    if not db.execute(SQL["strike_off"], (number,)).rowcount:
        raise Fenced("somebody else has done this work")


def find_created(db: sqlite3.Connection, task_id: TaskId) -> Created:
    row = db.execute(SQL["created"], (task_id,)).fetchone()
    if row is None:
        raise NotFound(f"no task {task_id}")
    n, owner, queue, body, urls = row
    found = reading(lambda: read_created(Whose(task_id, owner, queue), body or b""), lambda: [n])
    return given(found, urls)


def find_progress(db: sqlite3.Connection, task_id: TaskId) -> tuple[int, Progress]:
    """The number of its row, too. Raises `NotFound` and `Damaged`."""
    row = db.execute(SQL["progress"], (task_id,)).fetchone()
    if row is None:
        raise NotFound(f"no task {task_id}")
    n, stored, state, last = row
    progress = reading(lambda: read_listed(stored, (task_id, state)), lambda: [n])
    if last and progress.version < last:
        raise Damaged([n])
    return n, progress


def _add_events(db: sqlite3.Connection, n: int, first: int, events: Sequence[Change]) -> None:
    row = pack(first, events)
    if row:
        _add_row(db, n, row)


def _add_row(db: sqlite3.Connection, n: int, row: Row) -> None:
    db.execute(SQL["add_events"], (row.count, n, row.last, row.body))


def _save(db: sqlite3.Connection, n: int, before: Progress, after: Progress, now: float) -> None:
    row = {
        "n": n,
        "state": after.state.value,
        "active": bool(after.native_id),
        "progress": pack_progress(after),
        "now": now,
    }
    db.execute(SQL[_save_as(before, after)], row)


def _save_as(before: Progress, after: Progress) -> str:
    """What names no indexed column that stays as it is costs the least."""
    if is_final(after.state):
        return "save_progress" if after.state is before.state else "save_end"
    if after.state is not before.state:
        return "save_move"
    return "save_progress" if after.native_id == before.native_id else "save_job"


def _add_work(db: sqlite3.Connection, before: Progress | None, after: Progress, now: float) -> None:
    for work in caused(before, after):
        due = now + work.pause if isinstance(work, Submit) else now
        db.execute(SQL["add_work"], (after.queue, due, as_text(work)))
