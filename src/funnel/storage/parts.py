"""Parts of a large file, several on their way at once, each tried a few times."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Final, TypeVar

from funnel.ports import Content, Piece
from funnel.storage.content import PART
from funnel.storage.patience import Patience
from funnel.together import grouped

T = TypeVar("T")

TRIES: Final = 4
"""Of one part; then the whole upload has failed, and may be tried again."""


async def in_parts(
    content: Content, size: int, send: Callable[[int, Piece], Coroutine[None, None, T]]
) -> list[T]:
    """
    What `send` makes of each, in order; it is given its number, from 1 on, and `size` bytes.

    So many at once as the content says, and one is read meanwhile. Of an empty file there is one
    part.
    """
    room = asyncio.Semaphore(max(1, content.abreast * PART // size))
    sending: list[asyncio.Task[T]] = []

    async with grouped() as group:
        async for piece in _one_at_least(content.pieces(size)):
            await room.acquire()
            task = group.create_task(send(len(sending) + 1, piece))
            task.add_done_callback(lambda _: room.release())
            sending.append(task)
    return [one.result() for one in sending]


async def tried(deed: Callable[[], Awaitable[T]]) -> T:
    """Do it, in some tries, since much is done by now."""
    return await Patience(tries=TRIES, longest=10.0).persist(deed, lambda: 0)


async def _one_at_least(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    empty = True
    async for piece in pieces:
        empty = False
        yield piece
    if empty:
        yield b""
