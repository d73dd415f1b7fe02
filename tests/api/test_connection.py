"""Connections on a real socket, with small limits."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from running import until

from funnel.api.answer import Answer, Reply
from funnel.api.listen import Door
from funnel.api.request import Request
from funnel.api.settings import Connections
from funnel.ports import unheard

LARGE = 64 * 2**20
ASK = b"GET / HTTP/1.1\r\nHost: funnel\r\n\r\n"
LIMITS = Connections(most=3, header_seconds=5, idle_seconds=30, write_seconds=0.5)


async def large(request: Request, reply: Reply) -> None:
    size = LARGE if request.path == "/large" else 1
    await Answer(b"x" * size).send(reply)


@asynccontextmanager
async def served() -> AsyncGenerator[tuple[Door, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(large, LIMITS, unheard)
    serving = asyncio.create_task(door.serve([listener]))
    try:
        yield door, int(listener.getsockname()[1])
    finally:
        door.stop()
        await serving


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def test_who_does_not_read_the_answer_is_cut_off() -> None:
    async with served() as (door, port), asyncio.timeout(20):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(ASK.replace(b"/", b"/large", 1))
            await crowded(door, 1)
            await crowded(door, 0)


async def crowded(door: Door, size: int) -> None:
    """Return when the server has so many connections."""
    await asyncio.to_thread(until, lambda: len(door.crowd) == size, within=15)


async def test_the_one_that_has_been_quiet_longest_makes_place_for_a_new_one() -> None:
    async with served() as (_, port), asyncio.timeout(20):
        ends = [await opened(port) for _ in range(LIMITS.most)]
        for reader, writer in ends:
            writer.write(ASK)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await reader.readexactly(1)
        await asyncio.sleep(1.1)
        newest = await opened(port)
        newest[1].write(ASK)
        assert (await newest[0].readline()).startswith(b"HTTP/1.1 200")
        assert await ends[0][0].read() == b""
        ends[1][1].write(ASK)
        assert (await ends[1][0].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in (*ends, newest):
            writer.close()
