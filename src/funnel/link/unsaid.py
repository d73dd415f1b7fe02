"""What an attempt has said and nobody has acknowledged yet, on this machine's disk."""

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from msgspec import DecodeError, json

from funnel.core.error import Unavailable
from funnel.core.event import Batch, Logged, Printed

_BATCH: Final = json.Decoder(Batch)


class Unsaid:
    """
    The write-ahead file of one attempt: a batch a line, after its checksum. All methods block.

    Whoever has it open holds the attempt on this machine. What moves the task on is synced to
    the disk before it is sent; text is not, since a machine that dies takes the rest of it along.
    """

    def __init__(self, path: Path) -> None:
        """Raises `Unavailable` where another process has it open, and for a disk that fails."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error
        try:
            self._take(path)
        except Unavailable:
            os.close(self._file)
            raise

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # So a keeper of a worker before us knows that somebody has come.
            os.utime(self._file)
            self._end = os.fstat(self._file).st_size
        except BlockingIOError as error:
            raise Unavailable("another process on this machine runs this attempt") from error
        except OSError as error:
            raise Unavailable(f"{path} cannot be held: {error.strerror}") from error

    def left(self) -> tuple[Batch, ...]:
        """What a worker before us has left, in order; a line that was torn ends it."""
        whole = os.pread(self._file, self._end, 0)
        return tuple(_read(whole))

    def keep(self, batch: Batch) -> None:
        """Raises `OSError` for a disk that fails or is full; then nothing of it is in the file."""
        body = json.encode(batch)
        line = memoryview(b"%08x %b\n" % (zlib.crc32(body), body))
        written = 0
        try:
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._end + written)
            if not all(isinstance(one, Logged | Printed) for one in batch.events):
                os.fdatasync(self._file)
        except OSError:
            # Where even this fails, the next line is written over what is there of it.
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end += written

    def forget(self) -> None:
        """All of it has been acknowledged. Raises `OSError` for a disk that fails."""
        self._end = 0
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        os.close(self._file)


def is_left(path: Path) -> bool:
    """
    Whether the attempt of this file was a worker's that runs no more; blocks.

    Without the file it is none that came for its task: it may be one of a server on this machine.
    """
    if not path.exists():
        return False
    with suppress(Unavailable), closing(Unsaid(path)):
        return True
    return False


def _read(whole: bytes) -> Iterator[Batch]:
    for line in whole.splitlines():
        checksum, _, body = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(body):
            return
        try:
            yield _BATCH.decode(body)
        except DecodeError:
            return
