"""
The yardstick of creates: SQLite alone, writing the same rows to the same schema as durably.

One thread that does nothing else; the rows are made beforehand and what that takes does not count.
"""

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from bench.pattern import Cell, Pattern, pattern
from bench.task import TASK
from funnel.core.event import Accepted, Created
from funnel.core.task import Spec, TaskId
from funnel.database.opening import connect
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.service.submit import FIRST
from funnel.testing.build import EPOCH


def bare_creates(folder: Path, group: int, seconds: float) -> float:
    """Tasks per second, so many to a commit."""
    path = folder / f"bare-{time.monotonic_ns()}.db"
    asyncio.run(_make_one(path))
    with closing(connect(path, writes=True)) as db:
        one, done, spent = pattern(db, 1), 1, 0.0
        while spent < seconds:
            rows = _rows(one, range(done + 1, done + 1 + group))
            start = time.perf_counter()
            _commit(db, rows)
            spent += time.perf_counter() - start
            done += group
    return (done - 1) / spent


def _commit(db: sqlite3.Connection, rows: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for sql, some in rows.items():
        db.executemany(sql, some)
    db.execute("COMMIT")


def _rows(one: Pattern, numbers: range) -> Mapping[str, Sequence[Sequence[Cell]]]:
    """By statement."""
    found: dict[str, list[Sequence[Cell]]] = {}
    for n in numbers:
        for sql, cells in one.rows(n):
            found.setdefault(sql, []).append(cells)
    return found


async def _make_one(path: Path) -> None:
    """A database with one new task, as the product writes it for a backend that promises."""
    host = Host(now=lambda: EPOCH, deployment="bench")
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        spec = msgspec.convert(TASK, Spec)
        task_id = TaskId("a" * 20)
        accepted = Accepted(task_id, EPOCH, f"{task_id}-{FIRST}")
        await database.create(Created(task_id, EPOCH, spec, "", "noop"), notes=(accepted,))
