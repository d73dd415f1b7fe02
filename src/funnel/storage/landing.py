"""The file on this machine that a download becomes."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from funnel.core.error import FunnelError, NoSpace, Unavailable
from funnel.ports import Piece
from funnel.safepath import opened, refuse_special, whole_file
from funnel.storage.sums import Sum
from funnel.storage.threads import briefly, ended, to_the_end

BLOCK: Final = 1 << 20
FOLLOW: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Corrupt(Unavailable):
    """What has come is not what the store has."""


class Landing:
    """
    Written in threads; whole under its name in the end, or not there at all.

    The last piece is held back, so that a small file needs one thread once. What `take` takes
    is hashed with `algorithm`, a name in `hashlib`, where there is one. `source` is what errors
    name. Raises `NoSpace` where the disk is full.
    """

    def __init__(self, to: Path, source: str) -> None:
        self.algorithm = ""
        self._to = to
        self._source = source
        self._stack = ExitStack()
        self._lock = Lock()
        self._file = -1
        self._hash: Sum | None = None
        self._held: tuple[Piece, int] | None = None
        self._writing: asyncio.Future[None] | None = None

    async def take(self, piece: Piece, at: int) -> None:
        """Of the pieces that come in order; written while the next one comes."""
        if self._held:
            # Who is given up here comes again with the same piece: the held one must stay.
            await self._settle()
            loop = asyncio.get_running_loop()
            self._writing = loop.run_in_executor(None, self._keep, *self._held)
        self._held = (piece, at)

    async def has(self, piece: Piece, at: int) -> bool:
        """Whether the very same has come there by `take`."""
        await self._settle()
        return await to_the_end(lambda: self._has(piece, at))

    async def write(self, piece: Piece, at: int) -> None:
        """Of a part by itself."""
        await to_the_end(lambda: self._write(piece, at))

    async def finish(self, size: int, hashed: int, checksum: str) -> None:
        """
        Write the rest, and give the file its name.

        Of the file's `size` the first `hashed` bytes came by `take`. Raises `Corrupt` where it
        has not the hexadecimal `checksum`, if there is one.
        """
        await self._settle()
        # Of a large one much may be left to hash, or to write where a disk is far away.
        do = briefly if size <= BLOCK else to_the_end
        await do(lambda: self._finish(size, hashed, checksum))

    async def abandon(self, error: BaseException) -> None:
        """Leave nothing."""
        try:
            if self._writing:
                await ended(self._writing)
        finally:
            await to_the_end(lambda: self._stack.__exit__(type(error), error, error.__traceback__))

    async def _settle(self) -> None:
        if self._writing:
            await asyncio.wait([self._writing])
            self._writing.result()

    @contextmanager
    def _told(self) -> Generator[None]:
        """Errors of the file system."""
        try:
            yield
        except OSError as error:
            what = f"{self._source}: {self._to} cannot be written: {error.strerror or error}"
            if error.errno in FULL:
                raise NoSpace(f"{what}; free some space on that disk") from error
            raise FunnelError(what) from error

    def _opened(self) -> int:
        with self._lock:
            if self._file < 0:
                directory = self._stack.enter_context(_followed(self._to.parent))
                refuse_special(directory, self._to.name)
                self._file = self._stack.enter_context(
                    whole_file(directory, self._to.name, durable=False)
                )
            return self._file

    def _write(self, piece: Piece, at: int) -> None:
        with self._told():
            file, rest = self._opened(), memoryview(piece)
            while rest:
                count = os.pwrite(file, rest, at)
                rest, at = rest[count:], at + count

    def _has(self, piece: Piece, at: int) -> bool:
        held, begin = self._held or (b"", at + len(piece))
        with self._told():
            written = os.pread(self._opened(), max(0, min(len(piece), begin - at)), at)
        rest = held[max(0, at - begin) : max(0, at + len(piece) - begin)]
        return b"".join((written, rest)) == piece

    def _keep(self, piece: Piece, at: int) -> None:
        self._write(piece, at)
        if self.algorithm and not self._hash:
            self._hash = hashlib.new(self.algorithm, usedforsecurity=False)
        if self._hash:
            self._hash.update(piece)

    def _finish(self, size: int, hashed: int, checksum: str) -> None:
        with self._told(), self._stack:
            if self._held:
                self._keep(*self._held)
            file = self._opened()
            came = os.fstat(file).st_size
            if came != size:
                raise Corrupt(f"{self._source}: {came} bytes came of {size}")
            if checksum:
                self._check(file, hashed, size, checksum)

    def _check(self, file: int, at: int, size: int, wanted: str) -> None:
        found = self._hash or hashlib.new(self.algorithm, usedforsecurity=False)
        while at < size and (piece := os.pread(file, BLOCK, at)):
            found.update(piece)
            at += len(piece)
        if found.hexdigest() != wanted:
            raise Corrupt(
                f"{self._source}: the {self.algorithm} of what came is {found.hexdigest()},"
                f" and that of the store {wanted}"
            )


@contextmanager
def _followed(path: Path) -> Generator[int]:
    """The directory that a path leads to, links followed; made where it is missing."""
    try:
        found = os.open(path, FOLLOW)
    except FileNotFoundError:
        with opened(path.resolve()) as made:
            yield made
        return
    try:
        yield found
    finally:
        os.close(found)
