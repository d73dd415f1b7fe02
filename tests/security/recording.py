"""A container engine that runs nothing, and remembers every byte that it is asked."""

import json
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

VERSION = "1.41"


class RecordingEngine:
    """
    Speaks as much of Docker's API as an attempt needs, at a socket of its own.

    Containers end as soon as they are started, and print `PRINTED`. `created` has the names
    and the bodies of the containers that somebody asked for, `asked` every request.
    """

    PRINTED = b"here\n"

    def __init__(self) -> None:
        self.created: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self._labels: dict[str, Any] = {}
        self._started: set[str] = set()

    def _routes(self) -> list[web.RouteDef]:
        at = f"/v{VERSION}"
        return [
            web.get("/_ping", self._ping),
            web.get(f"{at}/images/{{name:.+}}/json", self._image),
            web.post(f"{at}/containers/create", self._create),
            web.get(f"{at}/containers/json", self._list),
            web.get(f"{at}/containers/{{id}}/json", self._inspect),
            web.get(f"{at}/containers/{{id}}/logs", self._logs),
            web.head(f"{at}/containers/{{id}}/archive", self._archive),
            web.post(f"{at}/containers/{{id}}/start", self._start),
            web.post(f"{at}/containers/{{id}}/wait", self._wait),
            web.delete(f"{at}/containers/{{id}}", self._delete),
        ]

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncGenerator[str]:
        """The address at which it answers meanwhile."""
        app = web.Application(middlewares=[self._remembered])
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(socket)).start()
            yield f"unix://{socket}"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _remembered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": VERSION})

    async def _image(self, _request: web.Request) -> web.Response:
        return web.json_response({"Id": "sha256:0"})

    async def _create(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.created.append((request.query.get("name", ""), body))
        made = f"c{len(self.created)}"
        self._labels[made] = body["Labels"]
        return web.json_response({"Id": made}, status=201)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([])

    async def _inspect(self, request: web.Request) -> web.Response:
        one = request.match_info["id"]
        if one not in self._labels:
            return web.json_response({"message": "No such container"}, status=404)
        state = {"Status": "exited" if one in self._started else "created", "ExitCode": 0}
        labels = self._labels[one]
        return web.json_response({"Id": one, "State": state, "Config": {"Labels": labels}})

    async def _logs(self, request: web.Request) -> web.Response:
        time = b"2020-01-01T00:00:00.000000000Z " if "timestamps" in request.query else b""
        message = time + self.PRINTED
        return web.Response(body=struct.pack(">BxxxL", 1, len(message)) + message)

    async def _archive(self, _request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def _start(self, request: web.Request) -> web.Response:
        self._started.add(request.match_info["id"])
        return web.Response(status=204)

    async def _wait(self, _request: web.Request) -> web.Response:
        return web.json_response({"StatusCode": 0})

    async def _delete(self, request: web.Request) -> web.Response:
        self._labels.pop(request.match_info["id"], None)
        return web.Response(status=204)
