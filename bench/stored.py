"""
Databases with many finished tasks, as the product would have left them after running all.

A few real tasks are multiplied by `pattern`; what was made is checked, and kept in the cache folder
of the user until the schema or the events change.
"""

import fcntl
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import funnel
from bench import pattern, seeds
from bench.pattern import Cell, Pattern, new_id, tables
from bench.served import counts, served
from funnel.database.opening import connect, migrate
from funnel.database.sql import migrations

STEP = 2000
DAY = 24 * 3600
RARE = 500
"""Among so many tasks there is one of each rare kind."""
WRITTEN_BY = (
    *("core/event.py", "core/fold.py"),
    *("database/folded.py", "database/packed.py", "database/migrations"),
)


@contextmanager
def database(count: int) -> Generator[Path]:
    """With so many tasks, numbered from 1; what is added to it meanwhile is taken away again."""
    path = _folder() / f"{count}.db"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(path, count):
            _make(path, count)
        yield path
        with closing(connect(path, writes=True)) as db:
            _forget_others(db, count)


def copy(count: int, to: Path) -> int:
    """Its size in bytes."""
    with database(count) as path:
        size(path)
        shutil.copyfile(path, to)
    return to.stat().st_size


def size(path: Path) -> int:
    """Bytes, once all is in the file itself."""
    with closing(connect(path, writes=True)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return path.stat().st_size


def _folder() -> Path:
    """Of this edition; those of others, which are large, are deleted a day after their last use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "funnel" / "bench"
    digest = sha256()
    product = Path(funnel.__file__).parent
    for source in (
        *(product / one for one in WRITTEN_BY),
        pattern.__file__,
        seeds.__file__,
        __file__,
    ):
        path = Path(source)
        for file in sorted(path.glob("*.sql")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    folder = cache / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    now = folder.stat().st_mtime
    for other in cache.iterdir():
        if other.stat().st_mtime < now - DAY:
            shutil.rmtree(other)
    return folder


def _is_whole(path: Path, count: int) -> bool:
    if not path.exists():
        return False
    with closing(connect(path, writes=True)) as db:
        _forget_others(db, count)
        return db.execute("SELECT count(*) FROM task").fetchone() == (count,)


def _make(path: Path, count: int) -> None:
    print(f"making a database with {count:,} tasks, once: {path}", flush=True)
    path.unlink(missing_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    patterns = seeds.seeds()
    with closing(connect(partial, writes=True)) as db:
        migrate(db, partial, migrations())
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -262144")
        for first in range(1, count + 1, STEP):
            _fill(db, patterns, range(first, min(first + STEP, count + 1)))
        _check(db, patterns, count)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL")
    _read_back(partial, count)
    partial.rename(path)


def _fill(db: sqlite3.Connection, patterns: Sequence[Pattern], numbers: range) -> None:
    rows: dict[str, list[Sequence[Cell]]] = {}
    for n in numbers:
        for sql, cells in patterns[_index(patterns, n)].rows(n):
            rows.setdefault(sql, []).append(cells)
    db.execute("BEGIN")
    for sql, some in rows.items():
        db.executemany(sql, some)
    db.execute("COMMIT")


def _index(patterns: Sequence[Pattern], n: int) -> int:
    """Which of them the task with number `n` follows."""
    kind = n % RARE
    return seeds.USUAL + kind if seeds.USUAL + kind < len(patterns) else n % seeds.USUAL


def _check(db: sqlite3.Connection, patterns: Sequence[Pattern], count: int) -> None:
    """Raise where rows are missing."""
    times = Counter(_index(patterns, n) for n in range(1, count + 1))
    for name, columns in tables(db).items():
        wanted = sum(
            times[at] * sum(f"INTO {name} " in line.sql for line in one.lines)
            for at, one in enumerate(patterns)
        )
        if "n" in columns and db.execute(f"SELECT count(*) FROM {name}").fetchone() != (wanted,):
            raise RuntimeError(f"{name} has not {wanted} rows")


def _read_back(path: Path, count: int) -> None:
    """Raise where the server does not tell of the tasks what it would tell of its own."""
    with served("--Compute", "noop", database=path) as one, one.client() as client:
        if sum(counts(client).values()) != count:
            raise RuntimeError(f"of {count} tasks the server counts {counts(client)}")
        for n in (1, count // 2, count):
            task = client.get(f"/tasks/{new_id(n)}?view=FULL").json()
            if not task["name"].endswith(f"sample-{n:07}") or not task["logs"][0]["system_logs"]:
                raise RuntimeError(f"task {n} is read back as {task}")


def _forget_others(db: sqlite3.Connection, count: int) -> None:
    db.execute("BEGIN")
    for name, columns in tables(db).items():
        if "n" in columns:
            db.execute(f"DELETE FROM {name} WHERE n > ?", (count,))
        elif "work" in columns:
            db.execute(f"DELETE FROM {name}")
    db.execute("COMMIT")
