"""Reading a request's body within bounds."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from funnel.api.errors import TooSlow
from funnel.core.error import TooLarge


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """
    The whole body, no larger than `limit` bytes; what is larger is not read to its end.

    Raises `TooLarge` or `TooSlow`.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, limit)
    except TimeoutError as error:
        raise TooSlow(f"the body did not arrive within {seconds:g} seconds") from error


async def _read(request: Request, limit: int) -> bytes:
    pieces: list[bytes] = []
    left, more = limit, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
