"""What tells that a file is not the one it was."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[tuple[int, ...], ...]


def stamp(files: Iterable[Path]) -> Stamp:
    """Another one when a file is another, or is not there."""
    return tuple(map(_mark, files))


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
