"""An open file on its way to a store."""

import hashlib
import mmap
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import IO, Final

from funnel.core.error import Invalid, Unavailable
from funnel.ports import Piece
from funnel.storage.ahead import SMALL, Small
from funnel.storage.sums import Sum
from funnel.storage.threads import briefly, to_the_end

PART: Final = 8 << 20
"""Bytes of one part of a large upload."""
BLOCK: Final = 1 << 20
LARGE: Final = 4 << 20
"""Bytes of a piece that is worth its own pages of memory."""


class FileContent:
    """Answers `ports.Content`; `moved` hears of what is read, and errors name the `goal`."""

    def __init__(self, file: IO[bytes], goal: str, moved: Callable[[int], None]) -> None:
        self._file = file
        self._goal = goal
        self._moved = moved
        self._start = file.tell() if file.seekable() else -1
        self._begun = False
        self._md5: Sum | None = None
        self.size = _size(file, self._start)
        self.abreast = 1
        self.count = 0
        """Bytes that were read this time."""

    @property
    def repeatable(self) -> bool:
        return self._start >= 0

    @property
    def is_large(self) -> bool:
        return self.size < 0 or self.size > 2 * PART

    def hash_with_md5(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        return self._md5.hexdigest() if self._md5 else ""

    async def pieces(self, size: int) -> AsyncIterator[Piece]:
        await to_the_end(self._rewind)
        while piece := await to_the_end(lambda: self._read(size)):
            self._moved(len(piece))
            yield piece
        self._check()

    async def whole(self) -> Piece:
        if isinstance(self._file, Small):
            found = self._whole()
        else:
            in_thread = briefly if 0 <= self.size <= SMALL else to_the_end
            found = await in_thread(self._whole)
        self._moved(len(found))
        self._check()
        return found

    def _whole(self) -> Piece:
        self._rewind()
        return self._read(self.size + 1 if self.size >= 0 else -1)

    def _rewind(self) -> None:
        if self._begun and not self.repeatable:
            raise Unavailable(f"{self._goal}: what is to be stored cannot be read a second time")
        if self._begun:
            self._file.seek(self._start)
        self._begun = True
        self.count = 0
        if self._md5:
            self.hash_with_md5()

    def _read(self, size: int) -> Piece:
        found = _large(self._file, size) if size >= LARGE else b"".join(_blocks(self._file, size))
        self.count += len(found)
        if self._md5:
            self._md5.update(found)
        if 0 <= self.size < self.count:
            # It may grow for ever.
            self._check()
        return found

    def _check(self) -> None:
        """Raises `Invalid` where another number of bytes was read than there should be."""
        if self.size >= 0 and self.count != self.size:
            raise Invalid(
                f"{self._goal}: the file had {self.size} bytes, and {self.count} when it was read;"
                " it must not change while it is stored"
            )


def _large(file: IO[bytes], size: int) -> memoryview:
    """In pages of its own, that the system has back at once: heaps of threads would keep some."""
    pages, end = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0
    with suppress(OSError):
        # Not all kernels have them; they halve the time that new pages take.
        pages.madvise(mmap.MADV_HUGEPAGE)
    while end < size and (block := file.read(min(BLOCK, size - end))):
        pages[end : end + len(block)] = block
        end += len(block)
    return memoryview(pages)[:end]


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file may give less than it is asked for."""
    while size and (piece := file.read(size if size > 0 else BLOCK)):
        yield piece
        size -= len(piece) if size > 0 else 0


def _size(file: IO[bytes], start: int) -> int:
    if start < 0:
        return -1
    try:
        found = os.fstat(file.fileno())
    except OSError:
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
        return end - start
    return max(0, found.st_size - start) if stat.S_ISREG(found.st_mode) else -1
