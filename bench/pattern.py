"""
The rows of one task as the product wrote them, to be written again for other tasks.

Nothing here names a table: whatever holds a task's number, and whatever work waits for it, is
copied. In the copies the id, and in texts the marks below, stand for the new task; all are as long
as before, so that a copy takes the room that the task took.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

OWN = "aaaaaaa"
"""A mark in the texts of a task, for a number of its own."""
SHARED = "bbbbbbb"
"""A mark for a number that tasks next to each other share."""
TOGETHER = 200
"""So many share it."""

Cell: TypeAlias = str | int | float | bytes | None
_END = "\0"


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its statement, its cells, and where among them numbers and texts are replaced."""

    sql: str
    cells: tuple[Cell, ...]
    numbers: tuple[int, ...]
    texts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    task_id: str
    lines: tuple[Line, ...]
    joined: str
    """All texts of all lines, so that marks are looked for once."""

    def rows(self, n: int) -> Iterator[tuple[str, Sequence[Cell]]]:
        """Statements and cells of the task with number `n`."""
        text = self.joined.replace(self.task_id, new_id(n)).replace(OWN, f"{n:07}")
        texts = iter(text.replace(SHARED, f"{n // TOGETHER:07}").split(_END))
        for line in self.lines:
            cells = list(line.cells)
            for at in line.numbers:
                cells[at] = n
            for at in line.texts:
                cells[at] = next(texts)
            yield line.sql, cells


def new_id(n: int) -> str:
    """As long as those of the product, and sorted before them."""
    return f"a{n:019}"


def pattern(db: sqlite3.Connection, n: int) -> Pattern:
    (task_id,) = db.execute("SELECT id FROM task WHERE n = ?", (n,)).fetchone()
    lines = [*_lines(db, n, task_id)]
    texts = [str(line.cells[at]) for line in lines for at in line.texts]
    return Pattern(task_id, tuple(lines), _END.join(texts))


def _lines(db: sqlite3.Connection, n: int, task_id: str) -> Iterator[Line]:
    for table, columns in tables(db).items():
        if "n" in columns:
            where, given = "n = ?", (n,)
        elif "work" in columns:
            where, given = "instr(work, ?)", (task_id,)
        else:
            continue
        found = db.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where}", given)
        for row in found.fetchall():
            yield _line(table, dict(zip(columns, row, strict=True)), task_id)


def tables(db: sqlite3.Connection) -> Mapping[str, Sequence[str]]:
    """The columns of each, those tables first whose rows others are about."""
    tables = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        " ORDER BY rootpage"
    )
    return {name: _columns(db, name) for (name,) in tables.fetchall()}


def _columns(db: sqlite3.Connection, table: str) -> Sequence[str]:
    return [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _line(table: str, row: Mapping[str, Cell], task_id: str) -> Line:
    kept = {name: cell for name, cell in row.items() if name == "n" or not _own_key(name, cell)}
    cells = (*kept.values(),)
    return Line(
        f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({', '.join('?' * len(kept))})",
        cells,
        tuple(at for at, name in enumerate(kept) if name == "n"),
        tuple(at for at, cell in enumerate(cells) if _marked(cell, task_id)),
    )


def _own_key(name: str, cell: Cell) -> bool:
    """Whether the database numbers the rows of this table by itself."""
    return name in {"id", "position"} and isinstance(cell, int)


def _marked(cell: Cell, task_id: str) -> bool:
    return isinstance(cell, str) and any(mark in cell for mark in (task_id, OWN, SHARED))
