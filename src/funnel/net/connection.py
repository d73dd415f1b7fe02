"""One connection to a server of HTTP/1.1: a request at a time, and its answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Final, TypeAlias, cast

from funnel.core.value import Value
from funnel.net.blocks import BLOCK, Blocks
from funnel.net.incoming import MOST, Broken, Incoming, Piece

Body: TypeAlias = "AsyncIterator[bytes | memoryview] | bytes | memoryview | None"

SEND: Final = 256 << 10
"""Bytes that are written at a time."""
GATHER: Final = 0.01
"""Seconds that what comes is gathered, so that it is handed on in large pieces."""
AHEAD: Final = 2 * BLOCK
"""Bytes of a body that may wait before no more is read."""


class Request(Value, kw_only=True):
    """As it is sent: the `head` with its empty line, and a `body` that is chunked or is told of."""

    head: bytes
    body: Body = None
    is_chunked: bool = False
    is_bodiless: bool = False
    """Whether the answer has no body, whatever it says of one."""
    is_repeatable: bool = False
    """Whether it may reach the server twice."""


class Connection(asyncio.BufferedProtocol):
    """
    Reads the body of an answer to where it stays, and no further than who takes it.

    `silence` is how many seconds nothing may come while something is waited for.
    """

    def __init__(self, silence: float, blocks: Blocks) -> None:
        self.is_heard = False
        """Whether anything has come since the request."""
        self.idle: asyncio.TimerHandle | None = None
        """What closes it when nobody has used it for long."""
        self._silence = silence
        self._blocks = blocks
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)
        self._space = memoryview(bytearray(MOST))
        self._incoming: Incoming | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._is_stuck = False
        self._is_paused = False
        self._failure: OSError | None = None

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=SEND // 2)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        incoming = self._incoming
        return incoming.space() if incoming and incoming.is_direct else self._space

    def buffer_updated(self, nbytes: int) -> None:
        incoming = self._incoming
        if incoming is None or incoming.is_whole:
            # Nobody has asked for it, so nobody knows what it answers.
            self.abort()
            return
        self.is_heard = True
        if incoming.is_direct:
            is_due = incoming.filled(nbytes)
        else:
            try:
                incoming.feed(self._space[:nbytes])
            except Broken as error:
                self._fail(error)
                return
            is_due = True
        if incoming.held >= AHEAD and not incoming.is_whole:
            self._is_paused = True
            self._transport.pause_reading()
        if is_due:
            self._wake()
        elif self._waiting and not self._gathering:
            self._gathering = self._loop.call_later(GATHER, self._wake)

    def pause_writing(self) -> None:
        self._is_stuck = True

    def resume_writing(self) -> None:
        self._is_stuck = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        incoming = self._incoming
        if incoming:
            # Of what has not come yet.
            incoming.stays = False
        if exc or not (incoming and (incoming.is_whole or self._is_said()) and incoming.end()):
            lost = exc if isinstance(exc, OSError) else Broken(str(exc or "the server closed it"))
            self._failure = self._failure or lost
        self._wake()

    def _is_said(self) -> bool:
        """
        Whether the other side itself has ended it.

        By TLS it says so, and a line that is cut does not (RFC 9112, 9.8); else nobody can tell.
        """
        tls = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return True
        try:
            tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            pass
        return False

    # --- who asks

    @property
    def is_open(self) -> bool:
        return not (self._transport.is_closing() or self._failure)

    def abort(self) -> None:
        self._transport.abort()

    async def exchange(self, request: "Request") -> Incoming:
        """Send it, and wait for the head of its answer. Raises `OSError`."""
        head, body = request.head, request.body
        self.is_heard = False
        incoming = self._incoming = Incoming(self._blocks, is_bodiless=request.is_bodiless)
        if isinstance(body, (bytes, memoryview)) and len(body) < SEND:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            if isinstance(body, (bytes, memoryview)):
                await self._send(memoryview(body), incoming)
            elif body is not None:
                await self._send_pieces(body, incoming, is_chunked=request.is_chunked)
        while not incoming.is_begun:
            await self._heard()
        return incoming

    async def piece(self, incoming: Incoming) -> Piece:
        """Of the body; nothing at its end. Raises `OSError`."""
        while not (found := incoming.take()):
            if incoming.is_whole:
                return b""
            await self._heard()
        if self._is_paused and incoming.held < AHEAD and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()
        return found

    def finish(self) -> bool:
        """The exchange is over; whether there may be another one."""
        incoming, self._incoming = self._incoming, None
        stays = False
        if incoming:
            stays = incoming.is_whole and incoming.stays and self.is_open and not self._is_stuck
            incoming.let_go()
        if not stays:
            self.abort()
        return stays

    async def _send(self, body: memoryview, incoming: Incoming) -> bool:
        """Whether all of it was wanted."""
        for at in range(0, len(body), SEND):
            if not await self._has_room(incoming):
                return False
            self._transport.write(body[at : at + SEND])
        return await self._has_room(incoming)

    async def _send_pieces(
        self, body: AsyncIterator[bytes | memoryview], incoming: Incoming, *, is_chunked: bool
    ) -> None:
        async for piece in body:
            if not piece:
                continue
            if is_chunked:
                self._transport.write(b"%x\r\n" % len(piece))
            if not await self._send(memoryview(piece), incoming):
                return
            if is_chunked:
                self._transport.write(b"\r\n")
        if is_chunked:
            self._transport.write(b"0\r\n\r\n")

    async def _has_room(self, incoming: Incoming) -> bool:
        """Wait until more can be sent; it need not be, where the answer is a refusal already."""
        while True:
            if incoming.is_begun and incoming.status >= 300:
                incoming.stays = False
                return False
            if self._failure:
                raise self._failure
            if not self._is_stuck:
                return True
            await self._woken()

    async def _heard(self) -> None:
        """Wait for what comes, and not for ever."""
        if self._failure:
            raise self._failure
        late = self._loop.call_later(self._silence, self._fail, TimeoutError(_SILENT))
        try:
            await self._woken()
        finally:
            late.cancel()

    async def _woken(self) -> None:
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def _fail(self, error: OSError) -> None:
        self._failure = self._failure or error
        self.abort()
        self._wake()


_SILENT: Final = "nothing came for too long"
