"""
Many connections that never come to the end of their headers, from a process of its own.

    python slow.py PORT CONNECTIONS SECONDS     prints how many were cut off, and after how long

A connection that is closed is opened again at once.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress

BEGIN = b"GET /v1/tasks HTTP/1.1\r\n"
MORE = b"X-Slow: yes\r\n"


async def dribble(port: int, goes_on: Callable[[], bool], lasted: list[float]) -> None:
    while goes_on():
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            writer.write(BEGIN)
            while goes_on() and not reader.at_eof():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await reader.read(1000)
                writer.write(MORE)
            if reader.at_eof():
                lasted.append(time.monotonic() - began)
            writer.close()
        await asyncio.sleep(0.05)


async def crowd(port: int, connections: int, seconds: float) -> list[float]:
    lasted: list[float] = []
    end = time.monotonic() + seconds
    await asyncio.gather(
        *(dribble(port, lambda: time.monotonic() < end, lasted) for _ in range(connections))
    )
    return lasted


if __name__ == "__main__":
    times = asyncio.run(crowd(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
    json.dump({"closed": len(times), "longest": max(times, default=0.0)}, sys.stdout)
