"""Files that are under their name only once they are whole."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import IO, Final

PIECE: Final = 1 << 26
BLOCK: Final = 1 << 20
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NAMELESS: Final = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC


@contextmanager
def whole_file(
    directory: int, name: str, *, mode: int = 0o666, durable: bool, replace: bool = True
) -> Generator[int]:
    """
    A descriptor to write to; the file replaces what has its name when the body is done.

    Where the file system can, it has no name before, so that a kill leaves nothing; but where it
    replaces another, it has one of its own for a moment. Of a body that fails nothing is left.
    `durable` is on disk, name and all. Without `replace` it raises `FileExistsError` instead, at
    once where it can.
    """
    if not replace and _is_taken(directory, name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    made, unfinished = _new(directory, mode)
    try:
        yield made
        if durable:
            os.fsync(made)
        if not replace:
            _link(made, directory, name)
        elif unfinished or not _is_linked(made, directory, name):
            unfinished = unfinished or _named(made, directory)
            os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
        if durable:
            os.fsync(directory)
    finally:
        if unfinished:
            with suppress(FileNotFoundError):
                os.unlink(unfinished, dir_fd=directory)
        os.close(made)


def refuse_special(directory: int, name: str) -> None:
    """
    Raises `FileExistsError` where a device, a pipe or a socket has the name.

    Root could rename a file over /dev/null.
    """
    with suppress(FileNotFoundError):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise FileExistsError(errno.EEXIST, "there is something that is no file", name)


def copy(source: IO[bytes], to: int, check: Callable[[], None] = lambda: None) -> None:
    """
    Copy what is left to read, in the kernel where it can; shares blocks where it may.

    `check` is called now and then, and may raise to stop.
    """
    if source.seekable():
        _copy_in_kernel(source, to, check)
    with os.fdopen(to, "wb", closefd=False) as file:
        while piece := source.read(BLOCK):
            check()
            file.write(piece)


def _copy_in_kernel(source: IO[bytes], to: int, check: Callable[[], None]) -> None:
    """As far as it goes: the caller reads on where it ends."""
    try:
        fd = source.fileno()
    except OSError:
        return
    os.lseek(fd, source.tell(), os.SEEK_SET)
    with suppress(OSError):
        while os.copy_file_range(fd, to, PIECE):
            check()
    source.seek(os.lseek(fd, 0, os.SEEK_CUR))


def _new(directory: int, mode: int) -> tuple[int, str]:
    """A new file and its name, which is empty where the file system takes files without."""
    try:
        return os.open(".", NAMELESS, mode, dir_fd=directory), ""
    except OSError:
        unfinished = _unfinished()
        return os.open(unfinished, NEW, mode, dir_fd=directory), unfinished


def _is_linked(fd: int, directory: int, name: str) -> bool:
    """Whether it has got the name, which nothing had."""
    with suppress(FileExistsError):
        _link(fd, directory, name)
        return True
    return False


def _is_taken(directory: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def _link(fd: int, directory: int, name: str) -> None:
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory)


def _named(fd: int, directory: int) -> str:
    unfinished = _unfinished()
    _link(fd, directory, unfinished)
    return unfinished


def _unfinished() -> str:
    return f".funnel-{secrets.token_hex(8)}.part"
