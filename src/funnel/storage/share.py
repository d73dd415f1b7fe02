"""Shares of the connections and the memory, beside those of the budget."""

from contextlib import AbstractAsyncContextManager, nullcontext

from funnel.ports import Share


class Unlimited:
    """Answers `ports.Share` for who is alone."""

    def moved(self, count: int) -> None:
        """Nobody asks."""

    def place(self, memory: int) -> AbstractAsyncContextManager[None]:
        del memory
        return nullcontext()

    def spare(self, most: int, memory: int) -> AbstractAsyncContextManager[int]:
        del memory
        return nullcontext(most)


class ForFile:
    """
    Answers `ports.Share` for one file of so many bytes, -1 where nobody knows: it holds no more.

    Of a file that has grown since it was listed a connection holds what it would without this.
    """

    def __init__(self, share: Share, size: int) -> None:
        self._share = share
        self._size = size

    def moved(self, count: int) -> None:
        self._share.moved(count)

    def place(self, memory: int) -> AbstractAsyncContextManager[None]:
        return self._share.place(memory if self._size < 0 else min(memory, self._size))

    def spare(self, most: int, memory: int) -> AbstractAsyncContextManager[int]:
        return self._share.spare(most, memory)
