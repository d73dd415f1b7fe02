"""Documents that were put together before."""

from typing import Final, TypeAlias

from funnel.core.query import View

ROOM: Final = 16 * 2**20
"""Bytes."""
OVERHEAD: Final = 300
"""What Python needs beside the bytes of an entry, about."""

_Key: TypeAlias = tuple[View, int]
_Entry: TypeAlias = tuple[bytes, bytes]


class Shown:
    """
    What tasks looked like when they were last shown.

    Each event of a task changes its progress, so a document is good for as long as the
    progress is the one it was made from. Those not asked for lately are forgotten: once the
    young are half of the room, they become the old ones, in place of those before. Threads
    share it; what one forgets under another is only made again.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._most = room // 2
        self._size = 0
        self._young: dict[_Key, _Entry] = {}
        self._old: dict[_Key, _Entry] = {}

    def get(self, view: View, n: int, progress: bytes) -> bytes | None:
        key = (view, n)
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry and entry[0] == progress:
                self.put(view, n, *entry)
        return entry[1] if entry and entry[0] == progress else None

    def put(self, view: View, n: int, progress: bytes, document: bytes) -> None:
        size = len(progress) + len(document) + OVERHEAD
        if size > self._most:
            return
        if self._size + size > self._most:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[view, n] = (progress, document)
        self._size += size
