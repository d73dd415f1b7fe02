"""Opening the file: ours alone, private, and with the newest schema."""

import fcntl
import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from funnel.core.error import Unavailable
from funnel.database.secret import teach

PRIVATE = 0o600


@contextmanager
def held(path: Path) -> Generator[None]:
    """Keep the file to this process; its lock is `<file>.lock`, and falls when we die."""
    lock = _lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise Unavailable(
            f"database {path} is in use by another server; stop that one, or give this one"
            " another SQLite.Path"
        ) from error
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Unavailable(
            f"database {path} cannot be made there: {error.strerror}; choose another SQLite.Path"
        ) from error


def make_private(path: Path) -> None:
    """
    See to it that only we may read the file; SQLite gives its companions the same mode.

    To be called before SQLite opens it: closing a file drops all the locks SQLite has on it.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        os.fchmod(file, PRIVATE)
    finally:
        os.close(file)


def connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    db.execute("PRAGMA busy_timeout = 5000")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA cache_size = -{16384 if writes else 4096}")
    if writes:
        teach(db)
        # Only of effect on a file that is empty yet: what is deleted can then be given back.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 67108864")
    else:
        db.execute("PRAGMA query_only = ON")
    return db


def migrate(db: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    """Bring the schema forward, each step in a transaction of its own."""
    version = _version(db, path)
    if version > len(steps):
        raise Unavailable(
            f"database {path} has schema {version}, and this program knows none above"
            f" {len(steps)}; use the newer program that made it"
        )
    for number, step in enumerate(steps[version:], version + 1):
        try:
            db.executescript(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error:
            db.rollback()
            raise


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not version and db.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise Unavailable(f"database {path} holds tables of some other program; give another path")
    return int(version)
