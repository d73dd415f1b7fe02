"""A line between a worker and its server that can be cut in more than one way."""

import asyncio
import socket
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Final

PIECE: Final = 4096
SLOW: Final = 1000
"""Bytes a second."""


class Line(StrEnum):
    GOOD = "good"
    HOLE = "hole"
    """Nothing arrives, and nobody is told."""
    RESET = "reset"
    """Connections are torn in the middle, the old and the new."""
    NO_ANSWERS = "no answers"
    """Only what the worker says arrives."""
    NO_REPORTS = "no reports"
    """Only what the server says arrives."""
    SLOW = "slow"


class Proxy:
    """Listens at `port`; each connection goes to the `server`'s port as the `line` has it."""

    def __init__(self, server: int) -> None:
        self.port = 0
        self.line = Line.GOOD
        self.connections = 0
        """That were ever made."""
        self._server = server
        self._writers = set[asyncio.StreamWriter]()
        self._loop = asyncio.new_event_loop()

    def become(self, line: Line) -> None:
        """From now on; what is under way is cut as well."""
        self.line = line
        if line is Line.RESET:
            self._loop.call_soon_threadsafe(self._tear)

    @contextmanager
    def running(self) -> Generator["Proxy"]:
        ready = threading.Event()
        thread = threading.Thread(target=self._run, args=(ready,))
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()

    def _run(self, ready: threading.Event) -> None:
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        server.close()
        self._tear()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        if self.line is Line.RESET:
            _reset(writer)
            return
        with suppress(OSError, asyncio.CancelledError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._server)
            self._writers.add(forth)
            await asyncio.gather(
                self._pass(reader, forth, Line.NO_REPORTS),
                self._pass(back, writer, Line.NO_ANSWERS),
            )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Line
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(SLOW // 4 if self.line is Line.SLOW else PIECE):
                if self.line is Line.SLOW:
                    await asyncio.sleep(len(piece) / SLOW)
                if self.line not in (Line.HOLE, cut):
                    writer.write(piece)
                    await writer.drain()
        writer.close()

    def _tear(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()


def _reset(writer: asyncio.StreamWriter) -> None:
    """So that the other end hears of a broken connection, and not of its end."""
    with suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
