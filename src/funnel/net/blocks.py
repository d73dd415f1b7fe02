"""Memory that bodies are read to."""

from typing import Final

BLOCK: Final = 1 << 20
"""Bytes that are gathered before they are handed on, where they come fast."""
KEPT: Final = 8
"""Blocks that are used again. New ones would come from the system, page by page, each time."""


class Blocks:
    """
    Gives blocks of `BLOCK` bytes to who fills them; one is given again when nobody has any of it.

    >>> blocks = Blocks()
    >>> first = blocks.free()
    >>> piece = memoryview(first)[:9]
    >>> blocks.free() is first
    False
    >>> del piece
    >>> blocks.free() is first
    True
    """

    def __init__(self) -> None:
        self._kept: list[bytearray] = []

    def free(self) -> bytearray:
        for block in self._kept:
            if _is_free(block):
                return block
        block = bytearray(BLOCK)
        if len(self._kept) < KEPT:
            self._kept.append(block)
        return block


def _is_free(block: bytearray) -> bool:
    """What a `memoryview` shows cannot change its size."""
    try:
        block.append(block.pop())
    except BufferError:
        return False
    return True
