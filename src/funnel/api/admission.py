"""How much is worked on at once; the rest waits a little, or is told to come again."""

import asyncio
from collections import deque

from funnel.core.error import Busy


class Admission:
    """
    `async with` lets `most` in at once; others wait in order, for `seconds`, or raise `Busy`.

    Who is turned away has waited so long, so that callers who come again at once cost little.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._free = most
        self._seconds = seconds
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
        else:
            await self._wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done() and not turn.cancelled():
                # It came in the same moment, and goes to the next.
                self._leave()
            if isinstance(error, TimeoutError):
                raise Busy from error
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Room:
    """Bytes that requests may hold together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Raises `Busy` when there is no room."""
        if size > self._left:
            raise Busy
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size
