"""One request, as far as it has come."""

import asyncio
import math
from collections.abc import Callable, Sequence

from funnel.core.access import Caller
from funnel.core.error import FunnelError


class Gone(Exception):
    """The client has hung up, or reads no more."""


class Request:
    """
    Filled by its connection, read by an endpoint.

    `path` is percent-decoded, `query` is what follows the question mark. `headers` have names in
    lower case. `wanted` is called when the endpoint waits for more of the body.
    """

    __slots__ = (
        *(
            "caller",
            "deadline",
            "expects",
            "headers",
            "is_late",
            "is_let_go",
            "is_whole",
            "method",
            "path",
            "peer",
            "query",
            "size",
        ),
        *("stays", "task_id", "version", "waited", "wanted", "_fault", "_is_gone", "_news"),
        *("_first", "_pieces"),
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        wanted: Callable[[], None],
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self._first = dict(reversed(headers))
        self.version = "1.1"
        """Of HTTP."""
        self.stays = True
        """Whether the client may send another request after this."""
        self.expects = False
        """Whether the client sends the body only when it is told to go on."""
        self.wanted = wanted
        self.caller: Caller
        """Known once the request was let in; there is none before, not even nobody."""
        self.peer = ""
        """The address that it comes from."""
        self.task_id = ""
        """That in the path, where there is one."""
        self.deadline = math.inf
        """By the loop's clock; who answers later is cancelled, with `is_late` set."""
        self.is_late = False
        self.waited = 0.0
        """Seconds for which the client wished to wait: not the time that we took to answer."""
        self.is_whole = False
        """Whether all of the body has come."""
        self.is_let_go = False
        """Whether nobody reads the body any more."""
        self.size = 0
        """Bytes that have come and were not read."""
        self._pieces: list[bytes] = []
        self._fault: FunnelError | None = None
        self._is_gone = False
        self._news: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> str:
        """Its first value; empty where it was not sent."""
        return self._first[name].decode("latin-1") if name in self._first else ""

    def values(self, name: bytes) -> list[str]:
        if name not in self._first:
            return []
        return [value.decode("latin-1") for known, value in self.headers if known == name]

    def feed(self, piece: bytes) -> None:
        if self.is_let_go:
            return
        self._pieces.append(piece)
        self.size += len(piece)
        self._tell()

    def end(self) -> None:
        self.is_whole = True
        self._tell()

    def let_go_by(self) -> None:
        self.is_let_go = True
        self._pieces.clear()
        self.size = 0

    def spoil(self, fault: FunnelError) -> None:
        """What comes is no body."""
        self._fault = fault
        self._tell()

    def hang_up(self) -> None:
        self._is_gone = True
        self._tell()

    async def read(self) -> bytes:
        """What has come of the body since; nothing at its end. Raises `Gone`, or its fault."""
        while not self._pieces and not self.is_whole:
            if self._fault:
                raise self._fault
            self.wanted()
            await self._wait()
        return self.take()

    def take(self) -> bytes:
        """What has come of the body since."""
        found, self._pieces, self.size = b"".join(self._pieces), [], 0
        return found

    async def gone(self) -> None:
        """Raise `Gone` when the client has hung up."""
        while True:
            await self._wait()

    async def _wait(self) -> None:
        if self._is_gone:
            raise Gone
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _tell(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)
