"""Forgetting tasks that have ended. Idempotency keys stay, so that nothing is made anew."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from msgspec import DecodeError

from funnel.core.error import InvalidTransition, NotFound
from funnel.core.state import FINAL
from funnel.core.task import TaskId
from funnel.database.packed import read_spec
from funnel.database.sql import statements

SQL: Final = statements("removal.sql")


def delete(db: sqlite3.Connection, task_id: TaskId) -> None:
    row = db.execute(SQL["one"], (task_id,)).fetchone()
    if row is None:
        raise NotFound(f"no task {task_id}")
    n, state = row
    if state not in FINAL:
        raise InvalidTransition(
            f"task {task_id} is {state}, and only tasks that have ended can be deleted;"
            " cancel it first"
        )
    _delete(db, n)


def delete_ended(db: sqlite3.Connection, before: float, limit: int) -> int:
    """Those that ended longest ago, no more than `limit`; how many that were."""
    rows = db.execute(SQL["ended"], (before, limit)).fetchall()
    for (n,) in rows:
        _delete(db, n)
    return len(rows)


def _delete(db: sqlite3.Connection, n: int) -> None:
    _delete_tags(db, n)
    for what in ("events", "output", "secret", "damaged", "task"):
        db.execute(SQL[f"delete_{what}"], (n,))


def _delete_tags(db: sqlite3.Connection, n: int) -> None:
    """By the spec, since an index of tags by task would cost every create."""
    tags = _tags(db, n)
    if tags is None:
        db.execute(SQL["delete_tags"], (n,))
        db.execute(SQL["delete_tag_keys"], (n,))
    elif tags:
        db.executemany(SQL["delete_tag"], [(key, value, n) for key, value in tags.items()])
        db.executemany(SQL["delete_tag_key"], [(key, n) for key in tags])


def _tags(db: sqlite3.Connection, n: int) -> Mapping[str, str] | None:
    """None where the spec cannot be read."""
    row = db.execute(SQL["created"], (n,)).fetchone()
    try:
        return read_spec(row[0]).tags if row else None
    except (DecodeError, TypeError):
        return None
