"""Reading a request's body within bounds."""

import asyncio

from funnel.api.admission import Room
from funnel.api.errors import TooSlow
from funnel.api.request import Request
from funnel.core.error import TooLarge


async def read_body(request: Request, *, limit: int, seconds: float, room: Room) -> bytes:
    """
    The whole body, no larger than `limit` bytes; what is larger is not read to its end.

    It holds room, which the caller gives back. Raises `TooLarge`, `TooSlow`, `Busy` or `Gone`.
    """
    length = request.header(b"content-length")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    # A timer costs more than reading what is here.
    if request.is_whole and request.size <= limit:
        room.take(request.size)
        return request.take()
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            await _read(request, pieces, limit, room)
    except BaseException as error:
        room.give_back(sum(map(len, pieces)))
        if isinstance(error, TimeoutError):
            raise TooSlow(f"the body did not arrive within {seconds:g} seconds") from error
        raise
    return b"".join(pieces)


async def _read(request: Request, pieces: list[bytes], limit: int, room: Room) -> None:
    left = limit
    while piece := await request.read():
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
        room.take(len(piece))
        pieces.append(piece)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
