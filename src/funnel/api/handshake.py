"""A connection until TLS is agreed on."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from funnel.api.crowd import Crowd, Guest

PARTING: Final = 5.0
"""Seconds for the other side to say that it has heard of the end."""


class Handshake:
    """
    A guest that has no request yet, and has the time of one's headers.

    `made` makes the protocol that follows, which takes the place of this guest.
    """

    is_idle = False

    def __init__(
        self,
        crowd: Crowd,
        connected: socket.socket,
        context: ssl.SSLContext,
        made: Callable[[Guest], asyncio.Protocol],
    ) -> None:
        self._crowd = crowd
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        crowd.enter(self, self._loop.time())
        self._task = self._loop.create_task(self._shake(context, made))

    async def _shake(
        self, context: ssl.SSLContext, made: Callable[[Guest], asyncio.Protocol]
    ) -> None:
        """Who speaks no TLS, or hangs up, has no answer and is not worth a line in the log."""
        try:
            with suppress(OSError):
                await self._loop.connect_accepted_socket(
                    lambda: made(self),
                    self._socket,
                    ssl=context,
                    ssl_handshake_timeout=self._crowd.limits.header_seconds,
                    ssl_shutdown_timeout=PARTING,
                )
        finally:
            self._crowd.leave(self)

    def hurry(self, now: float, write_seconds: float) -> None:
        """The sweep for headers that do not come is enough."""

    def finish(self) -> None:
        self.abort()

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
