"""Being reached: the addresses that the server listens at, and how it ends."""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Final

from funnel.api.connection import Connection, Serve
from funnel.api.crowd import Crowd, Guest
from funnel.api.handshake import Handshake
from funnel.api.settings import Connections
from funnel.api.tls import Certificates
from funnel.core.error import Unavailable
from funnel.together import alongside

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
DRAIN: Final = 10
"""Seconds for requests that have arrived to be answered, once the server ends."""
PAUSE: Final = 0.1
TICK: Final = 0.1
"""Seconds between looks for who takes too long."""
FILES: Final = 512
"""Open files for everything but connections."""


class Door:
    """
    Takes connections until it is told to stop, and then answers what has arrived.

    `ending` is called when it stops, to send home those who would wait for long. Without
    `certificates` it speaks in plain text.
    """

    def __init__(
        self,
        serve: Serve,
        limits: Connections,
        ending: Callable[[], None],
        certificates: Certificates | None = None,
    ) -> None:
        self._certificates = certificates
        self.crowd = Crowd(limits)
        self._serve = serve
        self._ending = ending
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let nobody in any more; `serve` then returns when all is answered."""
        self._stopping.set()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Answer at these listening sockets."""
        async with alongside(self._sweep()):
            async with alongside(*(self._accept(one) for one in sockets)):
                await self._stopping.wait()
            for one in sockets:
                one.close()
            self._ending()
            await self._drain()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            self.crowd.sweep(loop.time())

    async def _drain(self) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + DRAIN
        for one in self.crowd:
            one.finish()
        while self.crowd and clock() < end:
            await self.crowd.left(end - clock())
        for one in self.crowd:
            one.abort()

    async def _accept(self, listener: socket.socket) -> None:
        """Where the server is crowded, who comes waits in the queue of the system."""
        loop = asyncio.get_running_loop()
        listener.settimeout(0)
        while True:
            await self.crowd.room()
            try:
                one, _ = await loop.sock_accept(listener)
                if self._certificates:
                    Handshake(self.crowd, one, self._certificates.now.context, self._connection)
                else:
                    await loop.connect_accepted_socket(self._connection, one)
            except OSError as error:
                log.warning("a connection could not be taken: %s", error)
                await asyncio.sleep(PAUSE)

    def _connection(self, before: Guest | None = None) -> Connection:
        return Connection(self._serve, self.crowd, before)


def connections_allowed(wanted: int) -> int:
    """As many as wanted, or as the system's limit of open files leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or wanted + FILES <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + FILES), hard))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - FILES)


def listen(host: str, port: int, setting: str = "Server.HTTPPort") -> list[socket.socket]:
    """
    A listening socket for each address of the host; with port 0 all get the same free one.

    `setting` is where the port comes from. Raises `Unavailable`, for a port that is taken or a
    host that is not this machine's.
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
            f" choose others with Server.HostName and {setting}"
        ) from error
    return taken
