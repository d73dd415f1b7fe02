"""HTTP connections that cannot use up the server: neither by their number nor by being slow."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from funnel.api.answer import refusal
from funnel.api.errors import HeadTooLarge
from funnel.api.settings import Connections
from funnel.core.error import FunnelError, Invalid, Unavailable

QUIET: Final = 1.0
"""Seconds; who has been quiet for less is about to ask."""
SPARE: Final = 200
"""Connections beyond the limit, to be told so; any more wait to be let in."""
TURN: Final = 1.0
"""Seconds until they are told: who comes again at once then costs little."""


class Crowd:
    """
    All connections of a server.

    A new one takes the place of the one that has been quiet longest: that has no request, or
    is still sending the headers of one. Where all are at work, it is told to come again.
    """

    def __init__(self, limits: Connections) -> None:
        self.limits = limits
        self._left = asyncio.Event()
        self._all = set[Connection]()
        self._quiet = dict[Connection, float]()

    def enter(self, one: "Connection", now: float) -> bool:
        """Whether there is a place for it."""
        if len(self._all) >= self.limits.most:
            self._make_place(now)
        has_place = len(self._all) < self.limits.most
        self._all.add(one)
        self.quiet(one, now)
        return has_place

    async def room(self) -> None:
        """Return when one more may be let in, be it to tell it that there is no place."""
        now = asyncio.get_running_loop().time
        while len(self._all) >= self.limits.most + SPARE:
            self._left.clear()
            self._make_place(now())
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET):
                    await self._left.wait()

    def _make_place(self, now: float) -> None:
        for one, since in self._quiet.items():
            if now - since > QUIET:
                self.leave(one)
                one.close()
            return

    def leave(self, one: "Connection") -> None:
        self._left.set()
        self._all.discard(one)
        self._quiet.pop(one, None)

    def quiet(self, one: "Connection", now: float) -> None:
        """It waits for a request, or a request of it for the rest of its headers."""
        self._quiet.pop(one, None)
        self._quiet[one] = now

    def busy(self, one: "Connection") -> None:
        self._quiet.pop(one, None)

    def sweep(self, now: float) -> None:
        """Close those that take too long."""
        for one, since in tuple(self._quiet.items()):
            if not one.is_idle and now - since > self.limits.header_seconds:
                one.close()
        for one in tuple(self._all):
            if one.stuck_since is not None and now - one.stuck_since > self.limits.write_seconds:
                one.abort()

    def abort_all(self) -> None:
        for one in tuple(self._all):
            one.abort()


class Config(uvicorn.Config):
    """What each connection gets to see."""

    crowd: Crowd


class Connection(HttpToolsProtocol):
    """Tells the crowd when it is quiet, and when its reader is stuck."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = config.crowd
        self.is_idle = False
        """It has had its answer. How long it may be so is counted by uvicorn."""
        self.stuck_since: float | None = None
        self._most = config.crowd.limits.head
        self._awaits_headers = False
        self._head = 0
        """Bytes that have come of a request whose headers are not complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        if not self._crowd.enter(self, self.loop.time()):
            self.app = full

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_idle:
            self.is_idle = False
            self._crowd.quiet(self, self.loop.time())
        super().data_received(data)
        if self._awaits_headers:
            self._head += len(data)
            if self._head > self._most:
                self._end(_too_large(self._most))

    def on_message_begin(self) -> None:
        self._awaits_headers, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._awaits_headers = False
        self._crowd.busy(self)
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._most:
            self.app = _answering(_too_large(self._most))
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._end(Invalid(msg))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self.is_idle = True
            self._crowd.quiet(self, self.loop.time())

    def _end(self, error: FunnelError) -> None:
        """Say why, where no request has been read to which one could answer."""
        answer = refusal(error)
        status = HTTPStatus(answer.status_code)
        lines = (
            f"HTTP/1.1 {status} {status.phrase}",
            "content-type: application/json",
            f"content-length: {len(answer.body)}",
            "connection: close",
        )
        self.transport.write("\r\n".join((*lines, "", "")).encode() + bytes(answer.body))
        self.transport.close()

    def pause_writing(self) -> None:
        self.stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stuck_since = None
        super().resume_writing()

    def close(self) -> None:
        """In peace; asked again, at once."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


async def full(scope: Scope, receive: Receive, send: Send) -> None:
    """For who comes when there is no place."""
    await asyncio.sleep(TURN)
    error = Unavailable("the server has as many connections as it takes")
    await _answering(error)(scope, receive, send)


def _answering(error: FunnelError) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = refusal(error)
        response.headers["Connection"] = "close"
        await response(scope, receive, send)

    return app


def _too_large(most: int) -> HeadTooLarge:
    return HeadTooLarge(f"the URL and headers of a request may have at most {most} bytes")
