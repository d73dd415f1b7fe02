"""Setting aside what cannot be read, so that its task goes on or ends, and others never notice."""

import logging
import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from msgspec import ValidationError, convert
from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.event import Change, Created, Level, Logged
from funnel.core.mending import Remnant, mended, plausible
from funnel.core.state import State, is_final
from funnel.core.task import Spec, TaskId
from funnel.core.value import Value
from funnel.core.work import Submit
from funnel.database.damage import UNREADABLE
from funnel.database.folded import pack_progress, read_progress
from funnel.database.packed import Row, Whose, pack_created, pack_one, read, read_created
from funnel.database.rows import UNKNOWN_TIME, WORK, as_text
from funnel.database.sql import statements

T = TypeVar("T")

log = logging.getLogger(__name__)

SQL: Final = statements("mend.sql")


class _Row(Value, kw_only=True):
    """A row of `task`, and what of it was found to be lost."""

    n: int
    whose: Whose
    lost: list[str]


def mend(db: sqlite3.Connection, now: float, *, numbers: Iterable[int]) -> None:
    for n in numbers:
        found = db.execute(SQL["row"], (n,)).fetchone()
        if found:
            _mend(db, n, found, now)


def _mend(db: sqlite3.Connection, n: int, found: tuple[Any, ...], now: float) -> None:
    name, owner, queue, listed, text = found
    events = db.execute(SQL["events"], (n,)).fetchall()
    bodies = dict[int, bytes](events)
    known = TaskId(name if isinstance(name, str) else f"damaged-{n}")
    whose = Whose(known, str(owner), str(queue))
    created = _readable(lambda body: read_created(whose, body), bodies.pop(1, b""))
    if created and not isinstance(name, str):
        whose = replace(whose, task_id=created.task_id)
    row = _Row(n=n, whose=whose, lost=[])
    if not isinstance(name, str):
        row.lost.append("id")
    _mend_outputs(db, row)
    if created is None:
        blank = pack_created(Created(whose.task_id, UNKNOWN_TIME, Spec(), "", ""))
        _replace(db, row, "event 1", dict(events).get(1), blank)
    changes = [_changes(db, row, seq, body) for seq, body in bodies.items()]
    progress = _readable(read_progress, text)
    last = max((seq for seq, _ in events), default=1)
    if progress is None or progress.task_id != whose.task_id or not plausible(progress, last):
        progress = None
        _set_aside(db, row, "progress", text)
    elif progress.state != listed:
        _set_aside(db, row, "state", listed)
    if not row.lost:
        return
    left = Remnant(
        task_id=whose.task_id,
        queue=whose.queue,
        state=State(listed) if listed in State.__members__ else None,
        progress=progress,
        created=created,
        changes=None if None in changes else [one for some in changes if some for one in some],
        last=last,
    )
    _save(db, row, left, now)


def _save(db: sqlite3.Connection, row: _Row, left: Remnant, now: float) -> None:
    after = mended(left)
    after = replace(after, version=after.version + 1)
    lost = ", ".join(row.lost)
    log.error("of task %s could not be read and was set aside: %s", left.task_id, lost)
    said = f"the database cannot read all that it kept of this task; lost are: {lost}"
    at = datetime.fromtimestamp(now, UTC)
    told = Logged(left.task_id, at, "System error", Level.ERROR, {"error": said})
    _put(db, row.n, pack_one(after.version, told))
    given = {
        "n": row.n,
        "id": left.task_id,
        "state": after.state.value,
        "active": bool(after.native_id) and not is_final(after.state),
        "progress": pack_progress(after),
        "ended": now if is_final(after.state) else None,
    }
    db.execute(SQL["save"], given)


def _changes(db: sqlite3.Connection, row: _Row, last: int, body: bytes) -> list[Change] | None:
    told = _readable(lambda body: read(row.whose, last, body), body)
    found = [event for _, event in told or () if not isinstance(event, Created)]
    if told and len(found) == len(told):
        return found
    what = f"the events up to {last}"
    said = Logged(row.whose.task_id, UNKNOWN_TIME, f"{what} cannot be read", Level.ERROR)
    _replace(db, row, what, body, pack_one(last, said))
    return None


def _replace(db: sqlite3.Connection, row: _Row, what: str, body: bytes | None, by: Row) -> None:
    _set_aside(db, row, what, body)
    _put(db, row.n, by)


def _put(db: sqlite3.Connection, n: int, row: Row) -> None:
    db.execute(SQL["put_events"], (n, row.last, row.body))


def _set_aside(db: sqlite3.Connection, row: _Row, what: str, body: object) -> None:
    row.lost.append(what)
    db.execute(SQL["set_aside"], (row.n, what, body))


def _mend_outputs(db: sqlite3.Connection, row: _Row) -> None:
    for *place, stop, keep, text, kind in db.execute(SQL["outputs"], (row.n,)).fetchall():
        try:
            convert((*place, stop, keep), tuple[int, int, Stream, int, int, int])
            intact = kind == "text" and bool(text.decode() or True)
        except (ValidationError, ValueError):
            intact = False
        if not intact:
            _set_aside(db, row, "output {} {} {} {}".format(*place), text)
            db.execute(SQL["drop_output"], (row.n, *place))


def _readable(decode: Callable[[bytes], T], body: bytes | None) -> T | None:
    try:
        return decode(body or b"")
    except UNREADABLE:
        return None


def number_of(db: sqlite3.Connection, task_id: TaskId) -> list[int]:
    return [n for (n,) in db.execute(SQL["number"], (task_id,))]


def mend_work(db: sqlite3.Connection, now: float, *, number: int) -> None:
    """
    See why work of the outbox cannot be read, and mend that.

    Lost work does not say whose it was, so whoever waits without any is submitted again.
    """
    found = db.execute(SQL["work"], (number,)).fetchone()
    work = _readable(WORK.decode, found[0]) if found else None
    if work:
        mend(db, now, numbers=number_of(db, work.task_id))
    elif found:
        log.error("work %d of the outbox cannot be read and was set aside", number)
        db.execute(SQL["set_aside"], (0, f"work {number}", found[0]))
        db.execute(SQL["drop_work"], (number,))
        _submit_again(db, now)


def _submit_again(db: sqlite3.Connection, now: float) -> None:
    for n, queue, text in db.execute(SQL["waiting"]).fetchall():
        progress = _readable(read_progress, text)
        if progress is None:
            mend(db, now, numbers=(n,))
        else:
            work = Submit(progress.task_id, progress.fence, progress.pause)
            db.execute(SQL["add_work"], (queue, now + progress.pause, as_text(work)))
