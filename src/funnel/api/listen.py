"""Being reached: the addresses that the server listens at, and how it ends."""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from funnel.api.connection import Config, Connection, Crowd
from funnel.api.settings import Connections
from funnel.core.error import Unavailable

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
DRAIN: Final = 10
"""Seconds for requests that have arrived to be answered, once the server ends."""
PAUSE: Final = 0.1
TICKS: Final = 10
"""Ten to the second."""
FILES: Final = 512
"""Open files for everything but connections."""


class Door(uvicorn.Server):
    """
    Answers what has arrived when it is to end, and lets nobody in then.

    `ending` is called first, to send home those who would wait for long.
    """

    def __init__(self, app: ASGIApp, limits: Connections, ending: Callable[[], None]) -> None:
        config = Config(
            app,
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here asks who the client is, and any client could say that it is a proxy.
            proxy_headers=False,
            timeout_keep_alive=round(limits.idle_seconds),
            # Those that last longer have been cut off by then.
            timeout_graceful_shutdown=DRAIN + 1,
        )
        config.crowd = self._crowd = Crowd(limits)
        self._own = config
        super().__init__(config)
        self._ending = ending

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """None: how the process ends is the business of `ending`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """With a way in that can be shut for a while, which asyncio's servers lack."""
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(one)) for one in sockets or ()]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            self._crowd.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in self._accepting:
            one.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._ending()
        late = asyncio.get_running_loop().call_later(DRAIN, self._crowd.abort_all)
        await super().shutdown(sockets)
        late.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        """Where the server is crowded, who comes waits in the queue of the system."""
        loop = asyncio.get_running_loop()
        listener.settimeout(0)
        while True:
            await self._crowd.room()
            try:
                one, _ = await loop.sock_accept(listener)
                await loop.connect_accepted_socket(self._connection, one)
            except OSError as error:
                log.warning("a connection could not be taken: %s", error)
                await asyncio.sleep(PAUSE)

    def _connection(self) -> Connection:
        return Connection(self._own, self.server_state, {})


def connections_allowed(wanted: int) -> int:
    """As many as wanted, or as the system's limit of open files leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or wanted + FILES <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + FILES), hard))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - FILES)


def listen(host: str, port: int) -> list[socket.socket]:
    """
    A listening socket for each address of the host; with port 0 all get the same free one.

    Raises `Unavailable`, for a port that is taken or a host that is not this machine's.
    """
    taken: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            taken.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port, *address[2:]))
            port = one.getsockname()[1]
            one.listen(BACKLOG)
    except OSError as error:
        for one in taken:
            one.close()
        raise Unavailable(
            f"cannot listen at {host}, port {port}: {error.strerror};"
            " choose others with Server.HostName and Server.HTTPPort"
        ) from error
    return taken
