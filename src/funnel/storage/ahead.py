"""Small files of this machine on their way to stores."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from funnel.storage.threads import briefly

SMALL: Final = 1 << 16
"""Bytes of a file that is read whole before its turn."""
SOME: Final = 32
"""Files that are read at a time."""


class Small(BytesIO):
    """A file that is in memory already; `permissions` are as of `os.stat`."""

    def __init__(self, content: bytes, permissions: int) -> None:
        super().__init__(content)
        self.permissions = permissions


class Ahead:
    """
    Opens files, each of them once. The `small` are those of at most `SMALL` bytes, in their order.

    One thread reads several of them: to wake one for each would cost more than the reading.
    """

    def __init__(self, small: Sequence[Path]) -> None:
        self._small = small
        self._numbers = {path: number for number, path in enumerate(small)}
        self._seen = 0
        """Those before it have been read, or cannot be."""
        self._read = dict[Path, Small]()
        self._turn = asyncio.Lock()

    async def opened(self, path: Path) -> IO[bytes]:
        """Raises `OSError`."""
        number = self._numbers.get(path, -1)
        async with self._turn:
            if number >= self._seen:
                some = self._small[number : number + SOME]
                self._read |= await briefly(lambda: _contents(some))
                self._seen = number + len(some)
        found = self._read.pop(path, None)
        return await asyncio.to_thread(path.open, "rb") if found is None else found


def _contents(paths: Sequence[Path]) -> Mapping[Path, Small]:
    return {path: found for path in paths if (found := _content(path))}


def _content(path: Path) -> Small | None:
    """None for what is another file by now, or none: whoever opens it then is told."""
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            content = file.read(SMALL + 1)
    except OSError:
        return None
    return Small(content, found.st_mode) if len(content) == found.st_size else None
