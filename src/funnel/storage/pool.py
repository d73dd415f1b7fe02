"""Connections that are kept for the next one who needs them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from funnel.core.error import FunnelError, Unavailable
from funnel.storage.patience import unwatched

IDLE: Final = 60.0
"""Seconds that a connection which nobody uses is kept."""
GRACE: Final = 5.0
"""Seconds for connections to be closed."""
GREETINGS: Final = 4
"""Logins at one server at once: servers refuse whom they take for a flood."""


class Connection(Protocol):
    @property
    def usable(self) -> bool:
        """Whether the other side has not closed it."""
        ...

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Connection)
Place: TypeAlias = Callable[[], AbstractAsyncContextManager[C]]
"""Lends connections, one at a time."""


def harmless(error: BaseException) -> bool:
    """Whether it is a final answer of the server, over a connection that works on."""
    return isinstance(error, FunnelError) and not isinstance(error, Unavailable)


class _Line(Generic[C]):
    """The connections to one server as one user."""

    def __init__(self, most: int) -> None:
        self.places = asyncio.Semaphore(most)
        self.greetings = asyncio.Semaphore(GREETINGS)
        self.users = 0
        self.idle: list[tuple[C, asyncio.TimerHandle]] = []


class Pool(Generic[K, C]):
    """At most so many connections to each server as one user, each used by one at a time."""

    def __init__(self, connect: Callable[[K], Awaitable[C]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._lines: dict[K, _Line[C]] = {}
        self._closing = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def place(self, to: K) -> AsyncGenerator[Place[C]]:
        """
        Room for a connection, and for another one after an error: nobody comes between.

        After an error a connection is closed, unless that is `harmless`.
        """
        line = self._lines.setdefault(to, _Line(self._most))
        line.users += 1
        try:
            async with _room(line.places):
                yield lambda: self._lent(line, to)
        finally:
            line.users -= 1
            self._forget(line, to)

    @asynccontextmanager
    async def _lent(self, line: _Line[C], to: K) -> AsyncGenerator[C]:
        connection = self._taken(line) or await self._connected(line, to)
        try:
            yield connection
        except BaseException as error:
            if harmless(error):
                self._keep(line, to, connection)
            else:
                self._end(connection)
            raise
        self._keep(line, to, connection)

    async def close(self) -> None:
        """Of those that are idle; there should be no others."""
        for line in self._lines.values():
            for connection, closing in line.idle:
                closing.cancel()
                self._end(connection)
        self._lines.clear()
        if self._closing:
            await asyncio.wait(self._closing, timeout=GRACE)

    def _taken(self, line: _Line[C]) -> C | None:
        """The one that was used last, since it is the likeliest to be usable."""
        while line.idle:
            found, closing = line.idle.pop()
            closing.cancel()
            if found.usable:
                return found
            self._end(found)
        return None

    async def _connected(self, line: _Line[C], to: K) -> C:
        async with _room(line.greetings):
            return self._taken(line) or await self._connect(to)

    def _keep(self, line: _Line[C], to: K, connection: C) -> None:
        if not connection.usable:
            self._end(connection)
            return
        loop = asyncio.get_running_loop()
        line.idle.append((connection, loop.call_later(IDLE, self._expire, line, to, connection)))

    def _expire(self, line: _Line[C], to: K, connection: C) -> None:
        line.idle = [one for one in line.idle if one[0] is not connection]
        self._end(connection)
        self._forget(line, to)

    def _forget(self, line: _Line[C], to: K) -> None:
        if not line.users and not line.idle:
            self._lines.pop(to, None)

    def _end(self, connection: C) -> None:
        connection.close()
        closing = asyncio.create_task(connection.wait_closed())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


@asynccontextmanager
async def _room(places: asyncio.Semaphore) -> AsyncGenerator[None]:
    """Those before us in the queue are ours as well."""
    with unwatched():
        await places.acquire()
    try:
        yield
    finally:
        places.release()
