"""Files that are kept for the next who wants them, up to so many bytes; all calls block."""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from funnel.core.error import Invalid, Unavailable

FILE: Final = ".file"
PART: Final = ".part"
LOCK: Final = ".lock"
CONTENT: Final = "content"
"""In the directory of a part."""
EVICTION: Final = "eviction"
"""Held while room is made."""


class Shelf:
    """
    A directory that any number of processes of one user share; each file is under a key.

    What is to come is a part, which is counted in full from its beginning, so that there are never
    more bytes than `size`. Its lock is held as long as its maker lives: a part whose lock is free
    is left over by one that was killed, and is removed. A file has its name once it is on the
    disk, and is never changed.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._folder = folder.absolute()

    def open(self) -> None:
        """Make it, for its owner alone. Raises `Invalid` where others could put files into it."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.stat()
        except OSError as error:
            raise Unavailable(
                f"cannot make Worker.InputCache {self._folder}: {error.strerror}"
            ) from error
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Invalid(
                f"Worker.InputCache {self._folder} can be written to by others; name a directory"
                " that only the user of the workers may write to"
            )

    def find(self, key: str) -> int | None:
        """An open file, which counts as used now; None where there is none."""
        try:
            found = os.open(self._folder / f"{key}{FILE}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        _use(found)
        return found

    def lock(self, key: str) -> "Lock | None":
        """For who will bring it; None while another has it."""
        return _locked(self._folder / f"{key}{LOCK}")

    def reserve(self, key: str, size: int) -> Path | None:
        """
        The place of what is to come, by who has its lock; None where there is no room.

        What was used longest ago goes.
        """
        folder = self._part(key)
        with _held(self._folder / EVICTION):
            self._clear()
            shutil.rmtree(folder, ignore_errors=True)
            kept = sorted(self._kept())
            used = sum(one.size for one in kept)
            going = (one for one in kept if one.path.suffix == FILE)
            while used + size > self.size:
                oldest = next(going, None)
                if oldest is None:
                    return None
                oldest.path.unlink()
                used -= oldest.size
            folder.mkdir(mode=0o700)
            with (folder / CONTENT).open("xb") as made:
                made.truncate(size)
        return folder / CONTENT

    def keep(self, key: str) -> None:
        """What has come; on the disk before it has its name."""
        part = self._part(key) / CONTENT
        with part.open("rb") as file:
            _use(file.fileno())
            os.fsync(file.fileno())
        with _held(self._folder / EVICTION):
            part.rename(self._folder / f"{key}{FILE}")

    def give_up(self, key: str) -> None:
        """Remove what is left of a part, by who has its lock."""
        shutil.rmtree(self._part(key), ignore_errors=True)

    def _part(self, key: str) -> Path:
        """A directory, so that whatever a store's download leaves there goes with it."""
        return self._folder / f"{key}{PART}"

    def _clear(self) -> None:
        """What was left over."""
        for key in {one.stem for one in self._folder.iterdir() if one.suffix in {PART, LOCK}}:
            if free := _locked(self._folder / f"{key}{LOCK}"):
                self.give_up(key)
                free.release()

    def _kept(self) -> Iterator["_Kept"]:
        for path in self._folder.iterdir():
            if path.suffix in {FILE, PART}:
                with suppress(FileNotFoundError):
                    found = (path / CONTENT if path.suffix == PART else path).stat()
                    yield _Kept(found.st_mtime_ns, found.st_size, path)


class _Kept(NamedTuple):
    """In the order in which they go."""

    used: int
    size: int
    path: Path


class Lock(NamedTuple):
    """Free when it is released, or its process is gone."""

    path: Path
    fd: int

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.fd)


def _locked(path: Path) -> Lock | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who had it before removes it, and it may be another file by now.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return Lock(path, fd)
    os.close(fd)
    return None


def _use(fd: int) -> None:
    """Now, and not by the clock of the file system, whose steps are long."""
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    os.utime(fd, ns=(now, now))


@contextmanager
def _held(path: Path) -> Generator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
