"""What streams read: events and output behind a place, a little at a time."""

import sqlite3
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import json

from funnel.core.container import Stream
from funnel.core.event import Recorded
from funnel.core.output import Piece, Place
from funnel.core.query import Scope
from funnel.core.task import TaskId
from funnel.database.damage import reading
from funnel.database.rows import UNREAD
from funnel.database.sql import statements

SQL = statements("live.sql")

_Row: TypeAlias = tuple[int, int, Stream, int, int, str]
_PRINTED = json.Decoder(list[_Row])


def newest(db: sqlite3.Connection) -> int:
    (position,) = db.execute(SQL["newest"]).fetchone()
    return int(position)


def events(
    db: sqlite3.Connection, scope: Scope, after: int, limit: int
) -> tuple[list[Recorded], int]:
    given = {"owner": scope.owner, "after": after, "limit": limit}

    def look() -> tuple[list[Recorded], int]:
        text, position = db.execute(SQL["events"], given).fetchone()
        return [Recorded(*told) for told in UNREAD.decode(text)], position

    return reading(look, lambda: _numbers(db, "told_of", given))


def events_of(db: sqlite3.Connection, task_id: TaskId, after: int, limit: int) -> list[Recorded]:
    given = {"id": task_id, "after": after, "limit": limit}

    def look() -> list[Recorded]:
        (text,) = db.execute(SQL["events_of"], given).fetchone()
        return [Recorded(*told) for told in UNREAD.decode(text)]

    return reading(look, lambda: _numbers(db, "number", given))


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
