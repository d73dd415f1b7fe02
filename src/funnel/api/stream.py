"""Answers that take their time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager
from typing import Any, Final, Generic, TypeVar

from funnel.api.answer import Answer, Reply
from funnel.api.request import Request
from funnel.core.error import FunnelError
from funnel.together import first_of

T = TypeVar("T")

log = logging.getLogger(__name__)

STALLED: Final = 60.0
"""Seconds for which a client may read nothing; it can come back and go on where it was."""


@contextmanager
def waiting(request: Request) -> Generator[None]:
    """What is waited for in here is not the time that we take to answer."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        yield
    finally:
        request.waited += clock() - began


async def patiently(request: Request, job: Coroutine[Any, Any, object], *, seconds: float) -> None:
    """
    Do what the client waits for, for so many seconds more than an answer may take.

    Raises `Gone` when the client does not wait any longer.
    """
    request.deadline += seconds
    with waiting(request):
        await first_of(job, request.gone())


class Stream(Answer, Generic[T]):
    """
    Sends pieces as they come, until there are no more or the client has gone.

    Where the pieces fail, or the client reads nothing for long, the answer breaks off, which
    a client can tell from its end.
    """

    def __init__(
        self,
        request: Request,
        pieces: AsyncGenerator[T],
        write: Callable[[T], bytes],
        *,
        first: bytes = b"",
        kind: str,
    ) -> None:
        super().__init__(first, kind=kind)
        self._request = request
        self._pieces = pieces
        self._write = write

    async def send(self, reply: Reply) -> None:
        async with aclosing(self._pieces):
            with waiting(self._request):
                await first_of(self._answered(reply), self._request.gone())

    async def _answered(self, reply: Reply) -> None:
        reply.begin(self.status, self.headers)
        try:
            if self._request.method != "HEAD":
                await self._sent(reply)
        except TimeoutError:
            log.info("a client has read nothing for %.0f seconds; its stream breaks off", STALLED)
        except FunnelError as error:
            log.info("a stream breaks off: %s", error)
        else:
            reply.end()

    async def _sent(self, reply: Reply) -> None:
        await reply.piece(self.body)
        async for piece in self._pieces:
            body = self._write(piece)
            async with asyncio.timeout(STALLED):
                await reply.piece(body)
