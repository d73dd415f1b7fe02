"""Answers that take their time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Final, Generic, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from funnel.core.error import FunnelError
from funnel.service.together import first_of

T = TypeVar("T")

log = logging.getLogger(__name__)

STALLED: Final = 60.0
"""Seconds for which a client may read nothing; it can come back and go on where it was."""
DEADLINE: Final = "funnel.deadline"
"""Where a request has its `asyncio.Timeout`."""
_WAITED: Final = "funnel.waited"


@contextmanager
def waiting(scope: Scope) -> Generator[None]:
    """What is waited for in here is not the time that we take to answer."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        yield
    finally:
        scope[_WAITED] = waited(scope) + clock() - began


def waited(scope: Scope) -> float:
    """Seconds."""
    return float(scope.get(_WAITED, 0.0))


async def gone(receive: Receive) -> None:
    """Raise `ClientDisconnect` when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect


async def patiently(request: Request, job: Coroutine[Any, Any, object], *, seconds: float) -> None:
    """
    Do what the client waits for, for so many seconds more than an answer may take.

    Raises `ClientDisconnect` when the client does not wait any longer.
    """
    deadline: asyncio.Timeout = request.scope[DEADLINE]
    deadline.reschedule((deadline.when() or 0) + seconds)
    with waiting(request.scope):
        await first_of(job, gone(request.receive))


class Stream(Response, Generic[T]):
    """
    Sends pieces as they come, until there are no more or the client has gone.

    Where the pieces fail, or the client reads nothing for long, the answer breaks off, which
    a client can tell from its end.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[T],
        write: Callable[[T], bytes],
        *,
        first: bytes = b"",
        kind: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=headers, media_type=kind)
        del self.headers["content-length"]
        self._pieces = pieces
        self._write = write
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            with waiting(scope), suppress(ClientDisconnect):
                await first_of(self._answered(scope["method"], send), gone(receive))

    async def _answered(self, method: str, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            if method != "HEAD":
                await self._sent(send)
        except TimeoutError:
            log.info("a client has read nothing for %.0f seconds; its stream breaks off", STALLED)
        except FunnelError as error:
            log.info("a stream breaks off: %s", error)
        else:
            await send({"type": "http.response.body", "body": b""})

    async def _sent(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for piece in self._pieces:
            body = self._write(piece)
            async with asyncio.timeout(STALLED):
                await send({"type": "http.response.body", "body": body, "more_body": True})
