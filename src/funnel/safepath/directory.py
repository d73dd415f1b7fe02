"""Open directories."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""Names what is there, a link too, without opening it: no FIFO blocks, no device notices."""
ENTER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def entered(fd: int) -> Generator[int]:
    """A directory that can be listed and written to, from a descriptor that only names it."""
    directory = os.open(".", ENTER, dir_fd=fd)
    try:
        yield directory
    finally:
        os.close(directory)


@contextmanager
def opened(path: Path) -> Generator[int]:
    """
    An open directory, made where it is missing; `path` is absolute and has no link in it.

    Raises `OSError` where there is a link after all.
    """
    fd = os.open("/", LOOK | os.O_DIRECTORY)
    try:
        for name in path.parts[1:]:
            inner = _inner(fd, name)
            os.close(fd)
            fd = inner
        with entered(fd) as directory:
            yield directory
    finally:
        os.close(fd)


def _inner(above: int, name: str) -> int:
    try:
        return os.open(name, LOOK | os.O_DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=above)
        with entered(above) as directory:
            os.fsync(directory)
        return os.open(name, LOOK | os.O_DIRECTORY, dir_fd=above)
