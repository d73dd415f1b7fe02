"""What executors print: pieces that are never read while a task runs, and one at its end."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from funnel.core.event import Change, Printed, Requeued
from funnel.core.task import TaskId
from funnel.core.view import tail
from funnel.database.damage import UNREADABLE
from funnel.database.rows import Piece, as_printed
from funnel.database.sql import statements

SQL = statements("sqlite.sql")


def add_output(db: sqlite3.Connection, n: int, attempt: int, news: Sequence[Change]) -> None:
    """Keep what was printed, the first of it by this attempt; what it pushes out is deleted."""
    for event in news:
        match event:
            case Requeued():
                attempt += 1
            case Printed():
                row = _row(n, attempt, event)
                db.execute(SQL["add_output"], row)
                db.execute(SQL["trim_output"], row)
            case _:
                pass


def compact(db: sqlite3.Connection, n: int) -> None:
    """Make one piece of all that is kept of a stream; what cannot be read waits for a reader."""
    with suppress(*UNREADABLE):
        _compact(db, n, db.execute(SQL["outputs"], (n,)).fetchall())


def _compact(db: sqlite3.Connection, n: int, pieces: Sequence[Piece]) -> None:
    for (attempt, _, _), found in groupby(pieces, key=lambda piece: piece[:3]):
        some = [as_printed(TaskId(""), piece) for piece in found]
        if len(some) > 1:
            row = _row(n, attempt, _merged(some))
            db.execute(SQL["delete_output"], row)
            db.execute(SQL["add_output"], row)


def _merged(some: Sequence[Printed]) -> Printed:
    last, text = some[-1], tail(some)
    start = max(some[0].start, last.end - len(text.encode()))
    return Printed(last.task_id, last.at, last.index, last.stream, start, last.end, text, last.keep)


def _row(n: int, attempt: int, piece: Printed) -> dict[str, int | str]:
    return {
        "n": n,
        "attempt": attempt,
        "executor": piece.index,
        "stream": piece.stream.value,
        "start": piece.start,
        "stop": piece.end,
        "keep": piece.keep,
        "text": piece.text,
    }
