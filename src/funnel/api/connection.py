"""One HTTP/1.1 connection (RFC 9112): requests in, one at a time, and their answers out."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, TypeAlias, cast
from urllib.parse import unquote

import httptools

from funnel.api.answer import Reply, refusal
from funnel.api.crowd import Crowd, Guest
from funnel.api.errors import HeadTooLarge
from funnel.api.request import Gone, Request
from funnel.core.error import FunnelError, Invalid, TooLarge, Unavailable

log = logging.getLogger(__name__)

Serve: TypeAlias = Callable[[Request, Reply], Awaitable[None]]
"""Answers a request; raises `Gone` where nobody waits for the answer."""

TURN: Final = 1.0
"""Seconds until who finds no place is told so; coming again at once then costs little."""
BUFFER: Final = 64 * 1024
"""Bytes of a body that may wait to be read."""
READ_AHEAD: Final = 8
"""Requests that may wait for their turn before no more is read: while it is, a hang-up is seen."""
AHEAD: Final = READ_AHEAD + 128
"""The connection ends with so many of them, which came at once."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
END: Final = b"\r\n"
STAY: Final = b"connection: keep-alive\r\n\r\n"
CLOSE: Final = b"connection: close\r\n\r\n"
NO_LENGTH: Final = frozenset({204, 304})
"""Statuses of answers that have no body and must not speak of one."""


class Connection(asyncio.Protocol):
    """
    Fills requests, hands each to `serve`, and is where its answer goes (`api.answer.Reply`).

    While a request is answered, those that the client sent after it wait. `before` is who it was
    until TLS was agreed on.
    """

    def __init__(self, serve: Serve, crowd: Crowd, before: Guest | None = None) -> None:
        self.is_idle = False
        self._serve = serve
        self._crowd = crowd
        self._before = before
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport = cast("asyncio.Transport", None)
        self._peer = ""
        self._has_place = True
        self._later: deque[Request] = deque()
        """Requests that wait for their turn."""
        self._coming: Request | None = None
        """The one whose body comes in; it may have its answer already."""
        self._request: Request | None = None
        """The one that is answered."""
        self._task: asyncio.Task[None] | None = None
        self._is_answered = False
        self._stuck_since: float | None = None
        self._room: asyncio.Future[None] | None = None
        self._lines = 0
        """Bytes that came since a head ended or a body went on: of a head, trailers or the like."""

    # --- the client's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        # Who does not take all of an answer is stuck, and has no other meanwhile.
        # With TLS nought would always be reached.
        self._transport.set_write_buffer_limits(high=1 if self._before else 0)
        if self._before:
            self._crowd.leave(self._before)
        if not self._crowd.enter(self, self._loop.time()):
            self._serve, self._has_place = _full, False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._crowd.leave(self)
        for one in (self._request, self._coming):
            if one:
                one.hang_up()
        self._later.clear()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        if self.is_idle:
            self.is_idle = False
            self._crowd.quiet(self, self._loop.time())
        self._goes_on = False
        self._parse(data)
        self._lines = 0 if self._goes_on else self._lines + len(data)
        if self._lines > self._crowd.limits.head:
            self._refuse(_too_large(self._crowd.limits.head))

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        self._make_room()
        is_parting = self._coming and not self._coming.stays
        if not (self._request or is_parting or self._transport.is_closing()):
            self._turn_to_next()

    def _make_room(self) -> None:
        self._stuck_since = None
        if self._room and not self._room.done():
            self._room.set_result(None)

    def _parse(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while rest:
            rest = self._parse_some(rest)

    def _parse_some(self, data: bytes | memoryview) -> bytes | memoryview:
        """What is left, when the parser stops at a request that would change the protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._parser.get_method() == b"CONNECT":
                self._refuse(Invalid("this is no proxy"))
                return b""
            self._parse_plain()
            return memoryview(data)[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            unknown = Invalid("Invalid HTTP request received.")
            ours = error.__context__
            self._refuse(ours if isinstance(ours, FunnelError) else unknown)
        return b""

    def _parse_plain(self) -> None:
        """
        Read again a request that would change the protocol, as one that would not.

        No other is spoken here, and the parser takes what follows for the other, not for a body.
        """
        lines = [
            b"%b %b HTTP/%b"
            % (self._parser.get_method(), self._url, self._parser.get_http_version().encode()),
            b"connection: " + (b"keep-alive" if self._parser.should_keep_alive() else b"close"),
            *(
                b"%b: %b" % (name, b" ".join(value.splitlines()))
                for name, value in self._headers
                if name not in {b"connection", b"upgrade"}
            ),
        ]
        self._parser = httptools.HttpRequestParser(self)
        self._parse_some(b"\r\n".join((*lines, b"", b"")))

    # --- the parser's side

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = self._hosts = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._headers.append((name, value))
        self._size += len(name) + len(value)
        self._hosts += name == b"host"

    def on_headers_complete(self) -> None:
        self._goes_on = True
        if self._parser.should_upgrade():
            return
        self._crowd.busy(self)
        if self._size > self._crowd.limits.head:
            raise _too_large(self._crowd.limits.head)
        if len(self._later) >= AHEAD:
            raise TooLarge(f"more than {AHEAD} requests were sent ahead of their answers")
        if self._hosts != 1 and (self._hosts or self._parser.get_http_version() != "1.0"):
            raise Invalid("a request has one Host, and says which")
        url = httptools.parse_url(self._url)
        path = (url.path or b"").decode("ascii")
        request = self._coming = Request(
            self._parser.get_method().decode(),
            unquote(path) if "%" in path else path,
            url.query or b"",
            self._headers,
            self._wanted,
        )
        # What comes after the body is no part of them.
        self._headers = []
        request.peer = self._peer
        request.version = version = self._parser.get_http_version()
        request.stays = self._parser.should_keep_alive() and self._has_place
        request.expects = version != "1.0" and request.header(b"expect").lower() == "100-continue"
        if self._request is None and self._stuck_since is None:
            self._begin(request)
        else:
            self._later.append(request)
            if len(self._later) >= READ_AHEAD:
                self._transport.pause_reading()

    def on_body(self, piece: bytes) -> None:
        self._goes_on = True
        if self._coming:
            self._coming.feed(piece)
            if self._coming.size > BUFFER:
                self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._goes_on = True
        request, self._coming = self._coming, None
        if request:
            request.end()
            if request.is_let_go and not request.stays:
                self._transport.close()

    # --- answering

    def _begin(self, request: Request) -> None:
        self._request = request
        self._is_answered = False
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            await self._serve(request, self)
        except Gone:
            pass
        except Exception:
            log.exception("an answer breaks off, %s %r", request.method, request.path)
        finally:
            self._done(request)

    def _done(self, request: Request) -> None:
        self._request = self._task = None
        is_early = request is self._coming
        if is_early:
            request.let_go_by()
        if not self._is_answered or self._transport.is_closing():
            self._transport.close()
        elif request.stays:
            if self._stuck_since is None:
                self._turn_to_next()
        elif is_early and not request.expects:
            self._part()
        else:
            self._transport.close()

    def _part(self) -> None:
        """Close when all of the body has come: who still sends it could not read the answer."""
        self._crowd.quiet(self, self._loop.time())
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def _turn_to_next(self) -> None:
        if self._later:
            self._begin(self._later.popleft())
        else:
            self.is_idle = True
            self._crowd.quiet(self, self._loop.time())
        if len(self._later) < READ_AHEAD:
            self._transport.resume_reading()

    def _wanted(self) -> None:
        """The rest of a body is waited for."""
        if self._transport.is_closing():
            return
        request = self._request
        if request and request.expects:
            request.expects = False
            self._transport.write(CONTINUE)
        self._transport.resume_reading()

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        length = b"" if status in NO_LENGTH else b"content-length: %d\r\n" % len(body)
        head = self._head_of(status, headers + length)
        self._write(head if self._is_for_head else head + body)
        self._is_answered = True

    def begin(self, status: int, headers: bytes) -> None:
        if self._request and self._request.version == "1.0":
            # It knows no chunks: the end of the connection is the end of the answer.
            self._request.stays = False
        self._write(self._head_of(status, headers + self._framing))

    async def piece(self, body: bytes) -> None:
        if body:
            # An empty chunk would be the last.
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if self._framing else body
            self._write(chunk)
        if self._stuck_since is not None:
            self._room = self._loop.create_future()
            await self._room
        if self._transport.is_closing():
            raise Gone

    def end(self) -> None:
        if self._framing and not self._is_for_head:
            self._write(b"0\r\n\r\n")
        self._is_answered = True

    def _write(self, data: bytes) -> None:
        # The loop refuses what is written to a connection that is no more.
        if not self._transport.is_closing():
            self._transport.write(data)

    @property
    def _framing(self) -> bytes:
        return b"" if self._request and self._request.version == "1.0" else CHUNKED

    @property
    def _is_for_head(self) -> bool:
        return self._request is not None and self._request.method == "HEAD"

    def _head_of(self, status: int, headers: bytes) -> bytes:
        request = self._request
        if request and request.expects and not request.is_whole:
            # Nobody knows whether the body comes now.
            request.stays = False
        if not request or not request.stays:
            last = CLOSE
        else:
            last = STAY if request.version == "1.0" else END
        date = _date(int(self._loop.time()))
        return b"%b%b%b%b" % (_status(status), date, headers, last)

    @property
    def _last(self) -> Request | None:
        """The one after which there is none to be answered."""
        return self._later[-1] if self._later else self._request

    def _refuse(self, error: FunnelError) -> None:
        """For what is no request to answer; those before it still have their answers."""
        last = self._last
        if last:
            last.stays = False
            if last is self._coming:
                last.spoil(error)
            self._transport.pause_reading()
            return
        if self._coming is None:
            answer = refusal(error)
            self.whole(answer.status, answer.headers, answer.body)
        self._transport.close()

    # --- the crowd's side

    def hurry(self, now: float, write_seconds: float) -> None:
        if self._stuck_since is not None and now - self._stuck_since > write_seconds:
            self.abort()
        request = self._request
        if request and self._task and now > request.deadline:
            request.is_late = True
            self._task.cancel()

    def finish(self) -> None:
        if last := self._last:
            last.stays = False
        elif not self._transport.is_closing():
            self._transport.close()

    def close(self) -> None:
        if self._transport.is_closing():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


async def _full(request: Request, reply: Reply) -> None:
    """For who comes when there is no place."""
    del request
    await asyncio.sleep(TURN)
    await refusal(Unavailable("the server has as many connections as it takes")).send(reply)


def _too_large(most: int) -> HeadTooLarge:
    return HeadTooLarge(f"the URL and headers of a request may have at most {most} bytes")


@lru_cache(64)
def _status(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


@lru_cache(1)
def _date(_second: int) -> bytes:
    """That of now, made anew each second."""
    return f"date: {formatdate(usegmt=True)}\r\n".encode()
