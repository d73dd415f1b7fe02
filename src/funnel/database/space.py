"""Room on the disk: new tasks are refused before it is full, and the rest has a reserve."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from funnel.database.opening import PRIVATE

MIB: Final = 1024 * 1024
RESERVE: Final = 32 * MIB
LEAST: Final = MIB
"""With less than this free, opening a database may fail."""

log = logging.getLogger(__name__)


class Space:
    """
    What is left of the disk that a database is on, by looks now and then.

    The reserve is a file next to the database, really allocated. Once the disk is full it is
    deleted, so that the tasks which run can still say how they end; it is made again as soon
    as there is room. Of a small disk, a sixteenth must be free, and half of that is reserved.
    """

    def __init__(self, path: Path, min_free: int) -> None:
        self.shortage = ""
        """Why nothing new is taken; empty where it is."""
        self._file = path.with_name(f"{path.name}.reserve")
        self._min_free = min_free
        self._turn = Lock()
        self._wanted = 0
        self._refused = False

    def prepare(self) -> None:
        """Look for the first time, before the database is opened."""
        if self._free()[0] < LEAST:
            self.give_up()
        self.look()

    def look(self) -> None:
        """See what is left, and make the reserve again where it is missing. Blocks."""
        with self._turn:
            free, total = self._free()
            wanted = min(self._min_free, total // 16)
            has_reserve = self._reserved(min(RESERVE, total // 32), free - wanted)
            self._judge(free, wanted if has_reserve else wanted + min(RESERVE, total // 32))

    def glance(self) -> None:
        """Refuse what is new as soon as too little is left; cheap, for each commit, never fails."""
        if self._wanted and not self.shortage:
            with suppress(OSError):
                if (free := self._free()[0]) < self._wanted:
                    self._lacks(free, self._wanted)

    def full(self) -> None:
        """Take nothing new until the next look has found room."""
        if not self.shortage:
            self._refuse("no space left")

    def give_up(self) -> bool:
        """Delete the reserve; whether there was one. Blocks."""
        with self._turn:
            self.full()
            try:
                self._file.unlink()
            except OSError:
                return False
            log.warning("the disk of the database is full, and its reserve is used for what runs")
            return True

    def close(self) -> None:
        """A server that is stopped takes no room."""
        self._file.unlink(missing_ok=True)

    def _reserved(self, size: int, spare: int) -> bool:
        """Whether the reserve is there, be it made just now."""
        if self._refused or not self._min_free or self._has(size):
            return True
        if spare < size:
            return False
        try:
            self._allocate(size)
        except OSError as error:
            # Such as a file system that cannot do it: there is no reserve then, for good.
            self._file.unlink(missing_ok=True)
            self._refused = True
            log.warning("there is no reserve for a full disk: %s", error)
        return True

    def _has(self, size: int) -> bool:
        return self._file.exists() and self._file.stat().st_size >= size

    def _allocate(self, size: int) -> None:
        file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            os.posix_fallocate(file, 0, max(size, 1))
        finally:
            os.close(file)

    def _judge(self, free: int, wanted: int) -> None:
        self._wanted = wanted
        if free < wanted:
            if not self.shortage:
                self._lacks(free, wanted)
        elif self.shortage:
            self.shortage = ""
            log.info("the disk of the database has room again: new tasks are taken")

    def _lacks(self, free: int, wanted: int) -> None:
        self._refuse(f"{free / MIB:.1f} MiB left, and {wanted / MIB:.1f} MiB are wanted")

    def _refuse(self, left: str) -> None:
        self.shortage = f"the disk of the database has {left}; free some space and try again"
        log.warning("new tasks are refused, those that are there go on: %s", self.shortage)

    def _free(self) -> tuple[int, int]:
        """Bytes that are free for us, and all that the disk has."""
        found = os.statvfs(self._file.parent)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
