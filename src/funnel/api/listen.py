"""Being reached: the addresses that the server listens at, and the signals that end it."""

import asyncio
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from funnel.core.error import Unavailable

BACKLOG = 2048
ENDING = (signal.SIGINT, signal.SIGTERM)


class Door(uvicorn.Server):
    """
    Ends in peace, with exit code 0, on SIGINT or SIGTERM; a second SIGINT waits for nobody.

    `ending` is called first, to send home those who would wait for long.
    """

    def __init__(self, config: uvicorn.Config, *, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for one in ENDING:
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in ENDING:
                loop.remove_signal_handler(one)


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
