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
from funnel.database.rows import EVENT, PROGRESS, UNKNOWN_TIME, WORK, as_text
from funnel.database.sql import statements

T = TypeVar("T")

log = logging.getLogger(__name__)

SQL: Final = statements("mend.sql")


class _Row(Value, kw_only=True):
    """A row of `task`, and what of it was found to be lost."""

    n: int
    task_id: TaskId
    owner: str
    queue: str
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
    first: Created | Change | None = _readable(EVENT.decode, bodies.pop(1, b""))
    created = first if isinstance(first, Created) else None
    task_id = name if isinstance(name, str) else created.task_id if created else f"damaged-{n}"
    row = _Row(n=n, task_id=TaskId(task_id), owner=str(owner), queue=str(queue), lost=[])
    if not isinstance(name, str):
        row.lost.append("id")
    _mend_outputs(db, row)
    if created is None:
        blank = Created(row.task_id, UNKNOWN_TIME, Spec(), row.owner, row.queue)
        _replace(db, row, 1, dict(events).get(1), blank)
    changes = [_change(db, row, seq, body) for seq, body in bodies.items()]
    progress = _readable(PROGRESS.decode, text)
    last = max((seq for seq, _ in events), default=1)
    if progress is None or progress.task_id != row.task_id or not plausible(progress, last):
        progress = None
        _set_aside(db, row, "progress", text)
    elif progress.state != listed:
        _set_aside(db, row, "state", listed)
    if not row.lost:
        return
    left = Remnant(
        task_id=row.task_id,
        queue=row.queue,
        state=State(listed) if listed in State.__members__ else None,
        progress=progress,
        created=created,
        changes=None if None in changes else [one for one in changes if one],
        last=last,
    )
    _save(db, row, left, now)


def _save(db: sqlite3.Connection, row: _Row, left: Remnant, now: float) -> None:
    after = mended(left)
    after = replace(after, version=after.version + 1)
    lost = ", ".join(row.lost)
    log.error("of task %s could not be read and was set aside: %s", row.task_id, lost)
    said = f"the database cannot read all that it kept of this task; lost are: {lost}"
    at = datetime.fromtimestamp(now, UTC)
    told = Logged(row.task_id, at, "System error", Level.ERROR, {"error": said})
    db.execute(SQL["put_event"], (row.n, after.version, as_text(told)))
    given = {
        "n": row.n,
        "id": row.task_id,
        "state": after.state.value,
        "active": bool(after.native_id) and not is_final(after.state),
        "progress": as_text(after),
        "ended": now if is_final(after.state) else None,
    }
    db.execute(SQL["save"], given)


def _change(db: sqlite3.Connection, row: _Row, seq: int, body: bytes) -> Change | None:
    event: Created | Change | None = _readable(EVENT.decode, body)
    if event is None or isinstance(event, Created):
        said = f"event {seq} cannot be read"
        _replace(db, row, seq, body, Logged(row.task_id, UNKNOWN_TIME, said, Level.ERROR))
        return None
    return event


def _replace(
    db: sqlite3.Connection, row: _Row, seq: int, body: bytes | None, event: Created | Logged
) -> None:
    _set_aside(db, row, f"event {seq}", body)
    db.execute(SQL["put_event"], (row.n, seq, as_text(event)))


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
        progress = _readable(PROGRESS.decode, text)
        if progress is None:
            mend(db, now, numbers=(n,))
        else:
            work = Submit(progress.task_id, progress.fence, progress.pause)
            db.execute(SQL["add_work"], (queue, now + progress.pause, as_text(work)))
