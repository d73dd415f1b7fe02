"""A line to a store of HTTP that does wrong: forwards to the real one, and meddles by a table."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Final, TypeAlias

from aiohttp import ClientSession, web
from faults import BODIES, READING, WRITING, Choose, Fault, Must
from webapp import served
from yarl import URL

HOP: Final = frozenset({"transfer-encoding", "connection", "content-length", "date", "server"})
FOR_EVER: Final = 3600.0
DELAY: Final = 0.2
"""Seconds that a slow answer takes: less than what is patience here."""
BLOCK: Final = 1 << 16
PAUSE: Final = 0.005
"""Seconds between blocks, so that reading in slices is worth it."""
DROP: Final = 0.1
"""Seconds between two bytes of a trickle."""
ERROR: Final = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>by the test</Message></Error>"


@dataclass
class Exchange:
    """A request, and what may be done with it."""

    request: web.Request
    body: bytes
    line: "FaultyLine"

    async def forward(self) -> "Answer":
        return await self.line.forward(self)

    def reset(self) -> web.StreamResponse:
        """As a machine does that has forgotten the connection."""
        if transport := self.request.transport:
            one = transport.get_extra_info("socket")
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        raise ConnectionResetError

    async def send(
        self, answer: "Answer", body: bytes | None = None, *, length: int | None = None
    ) -> web.StreamResponse:
        """The headers, and so much of the body; the length is what it would be."""
        headers = {**answer.headers, "Content-Length": answer.headers["Content-Length"]}
        if length is not None:
            headers["Content-Length"] = str(length)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(self.request)
        content = answer.body if body is None else body
        if self.request.method != "HEAD":
            with suppress(ConnectionError):
                for at in range(0, len(content), BLOCK):
                    await response.write(content[at : at + BLOCK])
                    await asyncio.sleep(PAUSE)
        return response


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


Strike: TypeAlias = Callable[[Exchange], Awaitable[web.StreamResponse]]


class FaultyLine:
    """Answers `faults.Line`."""

    def __init__(self, server: str, choose: Choose) -> None:
        self._server = f"http://{server}"
        self._choose = choose
        self._count = 0
        self.busy = 0
        self.address = ""
        self.asked: list[str] = []
        self.struck = 0
        self._session: ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["FaultyLine"]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        async with (
            ClientSession(auto_decompress=False) as self._session,
            served(app, handler_cancellation=True, shutdown_timeout=0.1) as address,
        ):
            self.address = address.removeprefix("http://")
            yield self

    async def forward(self, exchange: Exchange) -> Answer:
        request = exchange.request
        headers = {name: one for name, one in request.headers.items() if name.lower() not in HOP}
        assert self._session
        async with self._session.request(
            request.method,
            URL(f"{self._server}{request.raw_path}", encoded=True),
            headers=headers,
            data=BytesIO(exchange.body) if exchange.body else None,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
            length = answer.headers.get("Content-Length", str(len(body)))
            told = {
                name: one.replace(self._server, f"http://{self.address}")
                for name, one in answer.headers.items()
                if name.lower() not in HOP
            }
            return Answer(answer.status, {**told, "Content-Length": length}, body)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        number, self._count = self._count, self._count + 1
        asked = f"{request.method} {request.path_qs}"
        self.asked.append(asked)
        self.busy += 1
        try:
            exchange = Exchange(request, await request.read(), self)
            strike: Strike | None = self._choose(number, asked)
            self.struck += strike is not None
            return await (strike or passed)(exchange)
        finally:
            self.busy -= 1


async def passed(exchange: Exchange) -> web.StreamResponse:
    return await exchange.send(await exchange.forward())


def refused(status: int, code: bytes, **headers: str) -> Strike:
    async def strike(exchange: Exchange) -> web.StreamResponse:
        told = {name.replace("_", "-"): one for name, one in headers.items()}
        body = b"" if exchange.request.method == "HEAD" else ERROR % code
        return web.Response(status=status, body=body, headers=told, content_type="application/xml")

    return strike


async def reset_before(exchange: Exchange) -> web.StreamResponse:
    return exchange.reset()


async def answer_lost(exchange: Exchange) -> web.StreamResponse:
    await exchange.forward()
    return exchange.reset()


async def reset_inside(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.forward()
    await exchange.send(answer, answer.body[: len(answer.body) // 2])
    await asyncio.sleep(0.02)
    return exchange.reset()


async def closed_inside(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.forward()
    await exchange.send(answer, answer.body[: len(answer.body) // 2])
    if transport := exchange.request.transport:
        transport.close()
    raise ConnectionResetError


async def silent(exchange: Exchange) -> web.StreamResponse:
    await asyncio.sleep(FOR_EVER)
    return exchange.reset()


async def silent_after(exchange: Exchange) -> web.StreamResponse:
    """What was asked for is done, but nobody says so."""
    await exchange.forward()
    return await silent(exchange)


async def silent_inside(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.forward()
    await exchange.send(answer, answer.body[: len(answer.body) // 2])
    return await silent(exchange)


async def trickle(exchange: Exchange) -> web.StreamResponse:
    """10 bytes a second."""
    answer = await exchange.forward()
    response = await exchange.send(answer, b"")
    if exchange.request.method != "HEAD":
        for byte in answer.body:
            await asyncio.sleep(DROP)
            await response.write(bytes([byte]))
    return response


async def slow(exchange: Exchange) -> web.StreamResponse:
    await asyncio.sleep(DELAY)
    return await passed(exchange)


async def cut_short(exchange: Exchange) -> web.StreamResponse:
    """Half of it, as if that were all."""
    answer = await exchange.forward()
    half = answer.body[: len(answer.body) // 2]
    return await exchange.send(answer, half, length=len(half))


async def spoiled(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.forward()
    at = len(answer.body) // 2
    return await exchange.send(
        answer, answer.body[:at] + bytes([answer.body[at] ^ 1]) + answer.body[at + 1 :]
    )


async def spoiled_on_the_way(exchange: Exchange) -> web.StreamResponse:
    """What is to be stored; documents about it come as they are."""
    if exchange.body and exchange.body[:1] not in {b"{", b"[", b"<"}:
        exchange.body = bytes([exchange.body[0] ^ 1]) + exchange.body[1:]
    return await passed(exchange)


async def other_tag(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.forward()
    tag = {name: '"d41d8cd98f00b204e9800998ecf8427e"' for name in answer.headers if name == "Etag"}
    tag |= {name: '"d41d8cd98f00b204e9800998ecf8427e"' for name in answer.headers if name == "ETag"}
    return await exchange.send(Answer(answer.status, {**answer.headers, **tag}, answer.body))


async def twice(exchange: Exchange) -> web.StreamResponse:
    await exchange.forward()
    return await passed(exchange)


async def empty(exchange: Exchange) -> web.StreamResponse:
    await exchange.forward()
    return web.Response(status=200)


async def nonsense(exchange: Exchange) -> web.StreamResponse:
    await exchange.forward()
    return web.Response(status=200, body=b"<html><p>Welcome to the network")


async def other_document(exchange: Exchange) -> web.StreamResponse:
    await exchange.forward()
    return web.Response(status=200, body=b"<html><p>Welcome to the network</p></html>")


FAULTS: Final[Mapping[str, Fault]] = {
    "500": Fault(strike=refused(500, b"InternalError")),
    "502": Fault(strike=refused(502, b"BadGateway")),
    "503 SlowDown": Fault(strike=refused(503, b"SlowDown")),
    "503 with Retry-After": Fault(strike=refused(503, b"SlowDown", Retry_After="1"), always=False),
    "429": Fault(strike=refused(429, b"TooManyRequests")),
    "403": Fault(strike=refused(403, b"AccessDenied"), once=Must.MAY_FAIL),
    "403 expired": Fault(strike=refused(403, b"ExpiredToken"), once=Must.MAY_FAIL),
    "404": Fault(strike=refused(404, b"NoSuchKey"), once=Must.MAY_FAIL),
    "412": Fault(strike=refused(412, b"PreconditionFailed"), once=Must.MAY_FAIL),
    "reset before": Fault(strike=reset_before),
    "reset inside": Fault(strike=reset_inside, ops=BODIES),
    "closed inside": Fault(strike=closed_inside, ops=BODIES),
    "answer lost": Fault(strike=answer_lost),
    "silent": Fault(strike=silent),
    "silent inside": Fault(strike=silent_inside, ops=BODIES),
    "silent after": Fault(strike=silent_after, ops=WRITING),
    "10 bytes a second": Fault(strike=trickle, ops=BODIES),
    "slow": Fault(strike=slow, always=False),
    "cut short": Fault(strike=cut_short, ops=READING, summed=True),
    "list cut short": Fault(strike=cut_short, ops=frozenset({"list"})),
    "spoiled": Fault(strike=spoiled, ops=READING, summed=True),
    "spoiled on the way": Fault(strike=spoiled_on_the_way, ops=WRITING, checked=True),
    "other tag": Fault(strike=other_tag, ops=READING, summed=True),
    "sent twice": Fault(strike=twice, ops=WRITING),
    "empty answer": Fault(strike=empty, once=Must.MAY_FAIL, ops=WRITING | {"list"}),
    "nonsense": Fault(strike=nonsense, once=Must.MAY_FAIL, ops=WRITING | {"list"}),
    "other document": Fault(strike=other_document, once=Must.MAY_FAIL, ops=WRITING | {"list"}),
}
