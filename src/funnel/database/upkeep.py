"""Keeping the file small and the disk from filling up, now and then."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Final

from funnel.core.error import FunnelError
from funnel.database.space import Space
from funnel.database.writer import Writer

log = logging.getLogger(__name__)

EVERY: Final = 1.0
IDLE: Final = 10
"""So many looks without a commit in between, and the write-ahead log is emptied."""
SPARE: Final = 1024
"""Free pages that the file may keep in any case."""
STEP: Final = 512
"""Pages that are given back at once, while writes wait."""


class Upkeep:
    """Looks at the disk and at the file, for as long as the database is open."""

    def __init__(self, path: Path, writer: Writer, space: Space) -> None:
        self._wal = path.with_name(f"{path.name}-wal")
        self._writer = writer
        self._space = space
        self._seen = 0
        self._quiet = 0

    async def forever(self) -> None:
        while True:
            try:
                await self.once()
            except (FunnelError, OSError, sqlite3.Error) as error:
                log.warning("the upkeep of the database must wait: %s", error)
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        await asyncio.to_thread(self._space.look)
        self._quiet = self._quiet + 1 if self._writer.commits == self._seen else 0
        self._seen = self._writer.commits
        if await self._writer.alone(_has_too_much):
            await self._writer.alone(_give_back)
        elif self._quiet >= IDLE and await asyncio.to_thread(self._has_log):
            await self._writer.alone(empty_log)

    def _has_log(self) -> bool:
        return self._wal.exists() and self._wal.stat().st_size > 0


def _has_too_much(db: sqlite3.Connection) -> bool:
    """Whether more than a quarter of the file is free; less is soon used again."""
    free, pages = (_number(db, name) for name in ("freelist_count", "page_count"))
    return free > max(SPARE, pages // 4) and _number(db, "auto_vacuum") > 0


def _number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def _give_back(db: sqlite3.Connection) -> None:
    # As a script, since `execute` makes only the first step of it, which is one page.
    db.executescript(f"PRAGMA incremental_vacuum({STEP})")


def empty_log(db: sqlite3.Connection) -> None:
    """Move all to the file, and the log's bytes back to the disk; not while others read long."""
    db.execute("PRAGMA busy_timeout = 100")
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.execute("PRAGMA busy_timeout = 5000")
