"""
A closed-loop HTTP load: so many clients, each with one connection, each waiting for its answer.

Reads one JSON object from standard input: `port`, `clients`, `seconds`, `requests` (texts, made one
after the other) and `endless`, whether to begin again after the last of them. Prints one JSON
object: answers per second, seconds to the 50th and 99th of a hundred answers, how many were not
200, and the share of a processor that this process took itself.

It speaks just enough HTTP to cost far less than the server that it measures: requests are made
beforehand, and of an answer nothing is read but its status and where it ends.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any, cast

import uvloop


class Load:
    """What all clients share."""

    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self.requests = requests
        self.waits: list[float] = []
        self.bad = 0
        self.end = time.perf_counter() + seconds


class Caller(asyncio.Protocol):
    """One connection; `over` is done when it makes no requests any more."""

    def __init__(self, load: Load) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self.load = load

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the server closed the connection"))

    def answered(self) -> None:
        self.load.waits.append(time.perf_counter() - self._asked)
        self.ask()

    def ask(self) -> None:
        self._asked = time.perf_counter()
        request = next(self.load.requests, b"")
        if request and self._asked < self.load.end:
            self.send(request)
        else:
            self.over.set_result(None)
            self.transport.close()

    def send(self, request: bytes) -> None:
        self.transport.write(request)


class Client(Caller):
    """One connection. `left` is what is still to come of the answer at hand."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.ask()

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        elif not self._began(self._head + data):
            return
        if not self._left:
            self.answered()

    def _began(self, data: bytes) -> bool:
        """Whether the head is here whole."""
        at = data.find(b"\r\n\r\n")
        self._head = data if at < 0 else b""
        if at < 0:
            return False
        head = data[: at + 2].lower()
        length = head.index(b"content-length:") + 15
        size = int(head[length : head.index(b"\r", length)])
        self.load.bad += head[9:12] != b"200"
        self._left = at + 4 + size - len(data)
        return True


async def measure(
    kind: Callable[[Load], Caller],
    *,
    port: int,
    clients: int,
    seconds: float,
    requests: Sequence[bytes],
    endless: bool,
) -> dict[str, Any]:
    load = Load(cycle(requests) if endless else iter(requests), seconds)
    start, cpu = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: kind(load), "127.0.0.1", port) for _ in range(clients)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    took = time.perf_counter() - start
    waits = sorted(load.waits)
    return {
        "rate": len(waits) / took,
        "p50": waits[len(waits) // 2],
        "p99": waits[len(waits) * 99 // 100],
        "bad": load.bad,
        "own_cpu": (time.process_time() - cpu) / took,
        "answers": len(waits),
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    asked["requests"] = [one.encode() for one in asked["requests"]]
    print(json.dumps(uvloop.run(measure(Client, **asked))))
