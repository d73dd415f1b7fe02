"""Writing to a container's standard input."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, Final, TypeAlias, TypeVar

from funnel.core.error import Unavailable
from funnel.runtime.address import Address, tls
from funnel.runtime.engine import Engine

PIECE: Final = 256 * 2**10
UPGRADED: Final = (101, 200)
OVER: Final = (404, 409)
"""The container is gone or has ended: nobody reads."""

T = TypeVar("T")
Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def first_of(*jobs: Coroutine[Any, Any, T]) -> T:
    """What the first to end returns or raises; the others are stopped."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def feed(
    engine: Engine, container_id: str, stdin: IO[bytes], fed: Callable[[], object]
) -> None:
    """
    Write all of the file and close the input; returns early when nobody reads any more.

    `fed` is called when all of it has left this process, so that the engine reads it without us.

    HTTP clients cannot close one half of a connection, so this one is opened by hand.
    """
    path = f"{engine.version}/containers/{container_id}/attach?stream=1&stdin=1"
    async with _connected(engine.address, engine.seconds) as ends:
        status = await _upgrade(ends, path, engine)
        if status in UPGRADED:
            await _pour(stdin, ends, fed)
        elif status not in OVER:
            raise Unavailable(f"the container engine refuses standard input with status {status}")


@asynccontextmanager
async def _connected(address: Address, seconds: float) -> AsyncGenerator[Ends]:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await _connect(address)
    except OSError as error:
        words = f"does not answer: {error or 'it takes too long'}"
        raise Unavailable(f"the container engine at {address.url} {words}") from error
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _connect(address: Address) -> Ends:
    if address.socket:
        return await asyncio.open_unix_connection(address.socket)
    context = tls(address.certificates) if address.certificates else None
    return await asyncio.open_connection(address.host.strip("[]"), address.port, ssl=context)


async def _upgrade(ends: Ends, path: str, engine: Engine) -> int:
    """The status of the answer; after 101 the connection is the container's input."""
    reader, writer = ends
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(engine.seconds):
            head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split(None, 2)[1])
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
        words = "does not take standard input"
        raise Unavailable(f"the container engine at {engine.address.url} {words}") from error


async def _pour(stdin: IO[bytes], ends: Ends, fed: Callable[[], object]) -> None:
    reader, writer = ends
    # Nothing is held here after a `drain`.
    writer.transport.set_write_buffer_limits(high=0)
    if await first_of(_write(stdin, writer), _closed(reader)):
        fed()
        await _closed(reader)


async def _write(stdin: IO[bytes], writer: asyncio.StreamWriter) -> bool:
    """Whether the engine has been told the end, and will close when the container knows it."""
    while piece := await asyncio.to_thread(stdin.read, PIECE):
        try:
            writer.write(piece)
            await writer.drain()
        except ConnectionError:
            return False
    if writer.can_write_eof():
        writer.write_eof()
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def _closed(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        while await reader.read(PIECE):
            pass
    return False
