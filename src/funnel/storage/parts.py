"""Parts of a large file, several on their way at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeVar

from funnel.ports import Content
from funnel.storage.content import PART
from funnel.together import grouped

T = TypeVar("T")


async def in_parts(
    content: Content, size: int, send: Callable[[int, bytes], Coroutine[None, None, T]]
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


async def _one_at_least(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    empty = True
    async for piece in pieces:
        empty = False
        yield piece
    if empty:
        yield b""
