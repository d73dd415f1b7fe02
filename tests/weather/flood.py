"""
Many connections that create tasks as fast as they are answered, from a process of its own.

    python flood.py PORT CONNECTIONS SECONDS     prints what was answered, as JSON

A connection that is closed is opened again at once: nobody here is patient.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable

TASK = b'{"executors": [{"image": "alpine", "command": ["true"]}]}'
REQUEST = (
    b"POST /v1/tasks HTTP/1.1\r\nHost: funnel\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(TASK), TASK)
)


async def create(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bool]:
    """The status, and whether the answer says when to come again, where it should."""
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    await reader.readexactly(length)
    status = head.split(b" ", 2)[1].decode()
    return status, status == "200" or b"\r\nretry-after: " in head.lower()


async def caller(port: int, goes_on: Callable[[], bool], seen: Counter[str]) -> None:
    while goes_on():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while goes_on():
                    status, is_told = await create(reader, writer)
                    seen[status] += 1
                    seen["without Retry-After"] += not is_told
            finally:
                writer.close()
        except (OSError, EOFError):
            seen["closed"] += 1
            await asyncio.sleep(0.01)


async def flood(port: int, connections: int, seconds: float) -> Counter[str]:
    seen, end = Counter[str](), time.monotonic() + seconds
    callers = (caller(port, lambda: time.monotonic() < end, seen) for _ in range(connections))
    try:
        async with asyncio.timeout(seconds + 10):
            await asyncio.gather(*callers)
    except TimeoutError:
        seen["stuck"] += 1
    return seen


if __name__ == "__main__":
    asked = (int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    json.dump(asyncio.run(flood(*asked)), sys.stdout)
