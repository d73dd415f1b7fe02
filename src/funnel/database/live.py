"""What streams read: events and output behind a place, a little at a time."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from msgspec import Raw, json

from funnel.core.container import Stream
from funnel.core.event import Recorded
from funnel.core.output import Piece, Place
from funnel.core.query import Scope
from funnel.core.task import TaskId
from funnel.database.damage import reading
from funnel.database.packed import Whose, read
from funnel.database.sql import statements

SQL = statements("live.sql")

MOST = 16 << 20
"""Characters of events that are read at once."""

_Row: TypeAlias = tuple[int, int, Stream, int, int, str]
_PRINTED = json.Decoder(list[_Row])
_EVENTS = json.Decoder(list[tuple[int, int, TaskId, str, str, Raw]])


def newest(db: sqlite3.Connection) -> int:
    (position,) = db.execute(SQL["newest"]).fetchone()
    return int(position)


def events(
    db: sqlite3.Connection, scope: Scope, after: int, limit: int
) -> tuple[list[Recorded], int]:
    limit = _carried(db, after, limit)
    given = {"owner": scope.owner, "after": after, "limit": limit}

    def look() -> tuple[list[Recorded], int]:
        text, last = db.execute(SQL["events"], given).fetchone()
        found = [*_recorded(text, after)]
        return (found, last) if len(found) <= limit else (found[:limit], found[limit - 1].position)

    return reading(look, lambda: _numbers(db, "told_of", given))


def _carried(db: sqlite3.Connection, after: int, limit: int) -> int:
    """So many of the rows, or fewer, as can be held at once: a task may be megabytes."""
    while limit > 1:
        (size,) = db.execute(SQL["size"], {"after": after, "limit": limit}).fetchone()
        if size <= MOST:
            break
        limit //= 2
    return limit


def mark(db: sqlite3.Connection, reader: str) -> int | None:
    (position,) = db.execute(SQL["marked"], (reader,)).fetchone()
    return None if position is None else int(position)


def events_of(db: sqlite3.Connection, task_id: TaskId, after: int, limit: int) -> list[Recorded]:
    given = {"id": task_id, "after": after, "limit": limit}

    def look() -> list[Recorded]:
        (text,) = db.execute(SQL["events_of"], given).fetchone()
        return [*_recorded(text, after)][:limit]

    return reading(look, lambda: _numbers(db, "number", given))


def _recorded(text: str, after: int) -> Iterator[Recorded]:
    """Of rows, which are found by their last events, those events that are after a position."""
    for position, last, task_id, owner, queue, body in _EVENTS.decode(text):
        told = read(Whose(task_id, owner, queue), last, bytes(body))
        for at, (number, event) in enumerate(told, position + 1 - len(told)):
            if at > after:
                yield Recorded(at, number, event)


def printed(db: sqlite3.Connection, task_id: TaskId, place: Place) -> list[Piece]:
    given = {
        "id": task_id,
        "attempt": place.attempt,
        "executor": place.executor,
        "stdout": place.stdout,
        "stderr": place.stderr,
    }

    def look() -> list[Piece]:
        (text,) = db.execute(SQL["printed"], given).fetchone()
        return [_piece(task_id, row) for row in _PRINTED.decode(text)]

    return reading(look, lambda: _numbers(db, "number", given))


def _numbers(db: sqlite3.Connection, name: str, given: Mapping[str, object]) -> list[int]:
    return [n for (n,) in db.execute(SQL[name], given)]


def _piece(task_id: TaskId, row: _Row) -> Piece:
    attempt, executor, stream, start, end, text = row
    return Piece(
        task_id=task_id,
        attempt=attempt,
        executor=executor,
        stream=stream,
        start=start,
        end=end,
        text=text,
    )
