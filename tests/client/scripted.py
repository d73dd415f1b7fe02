"""A server that says what the test wants."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from funnel.client.http import AsyncClient

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers with what it was given, one after another, and remembers what it was asked."""

    def __init__(self, *answers: web.Response | Answer) -> None:
        self._answers = list(answers)
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        one = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(one, web.Response):
            return web.Response(status=one.status, body=one.body, headers=one.headers)
        return await one(request)


@asynccontextmanager
async def client(
    server: Server, *, suffix: str = "", patience: float = 30, **given: Any
) -> AsyncGenerator[AsyncClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(app) as running:
        url = str(running.make_url("/")).rstrip("/") + suffix
        async with AsyncClient(url, timeout=patience, **given) as opened:
            yield opened


def error(status: int, text: str, **headers: str) -> web.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": text, "code": "X"}, status=status, headers=names)
