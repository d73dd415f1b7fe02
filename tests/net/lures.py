"""What listens where nobody may come: a server that counts who did, and one that leads there."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from funnel.core.reach import Reach, networks

FRONT = "127.0.0.2"
"""The one address that may be reached."""
REACH = Reach(allowed=networks([f"{FRONT}/32"], "test"))


class Counting:
    """At a port of every address of this machine."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Counting"]:
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as one:
            self.port = one.getsockname()[1]
            async with await asyncio.start_server(self._came, sock=one):
                yield self

    async def _came(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        await writer.drain()
        writer.close()


class Leading:
    """At the address that may be reached: `/a/b/c` leads to `/b/c`, and in the end to `target`."""

    def __init__(self) -> None:
        self.target = ""
        self.port = 0
        self.heard = list[web.Request]()

    @property
    def url(self) -> str:
        return f"http://{FRONT}:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Leading"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._hear)
        runner = web.AppRunner(app)
        await runner.setup()
        with socket.create_server((FRONT, 0)) as one:
            self.port = one.getsockname()[1]
            await web.SockSite(runner, one).start()
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append(request)
        first, _, rest = request.match_info["path"].partition("/")
        if not first:
            return web.Response(text="here", headers={"Connection": "close"})
        where = f"/{rest}" if rest else self.target
        return web.Response(status=307 if first == "same" else 302, headers={"Location": where})
