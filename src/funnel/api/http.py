"""TES over HTTP and JSON."""

import asyncio
import logging
import secrets
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from funnel.api.about import AboutDoor
from funnel.api.answer import broken, no_such_method, no_such_path, refusal
from funnel.api.errors import NoAnswer
from funnel.api.info import ServiceInfo
from funnel.api.live import LiveDoor
from funnel.api.routes import Endpoint, Route, Routes
from funnel.api.settings import LIMITS, Limits
from funnel.api.stream import DEADLINE, waited
from funnel.api.tes import TaskDoor
from funnel.core.error import FunnelError
from funnel.metrics import Metrics
from funnel.ports import Documents, Live, Overview, Tasks
from funnel.service.hub import Hub
from funnel.service.submit import Submit

log = logging.getLogger(__name__)

NOWHERE: Final = Route("none", {})
NO_STORE: Final = (b"cache-control", b"no-store")


class Known(Tasks, Documents, Live, Overview, Protocol):
    """What is asked of a database."""


def make_api(
    *,
    submit: Submit,
    database: Known,
    hub: Hub,
    info: ServiceInfo,
    metrics: Metrics,
    limits: Limits = LIMITS,
) -> ASGIApp:
    """The HTTP door of a server, for any ASGI server."""
    about = AboutDoor(info, database, metrics)
    live = LiveDoor(database, hub)
    door = TaskDoor(submit, database, limits, live)
    metrics.watch_watchers(lambda: hub.waiting)
    tes = {**about.tes_routes(), **door.routes(), **live.routes()}
    routes = Routes(tes, about.own_routes())
    return HttpDoor(routes, metrics, limits)


class HttpDoor:
    """Finds the endpoint, turns what it raises into answers, and counts."""

    def __init__(self, routes: Routes, metrics: Metrics, limits: Limits) -> None:
        self._routes = routes
        self._metrics = metrics
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # As ASGI wants it: the server then knows that there is no such protocol here.
            raise NotImplementedError(scope["type"])
        clock = asyncio.get_running_loop().time
        began = clock()
        route, task_id = self._routes.find(scope["path"]) or (NOWHERE, "")
        scope["path_params"] = {"id": task_id}
        try:
            response = await self._answer(route, Request(scope, receive))
        except ClientDisconnect:
            return
        await self._finished(response, scope)(scope, receive, send)
        seconds = clock() - began - waited(scope)
        self._metrics.answered(route.template, scope["method"], response.status_code, seconds)

    async def _answer(self, route: Route, request: Request) -> Response:
        endpoint = _endpoint(route, request.method)
        if route is NOWHERE:
            return no_such_path(request.scope["path"])
        if endpoint is None:
            return no_such_method(request.method, _allowed(route))
        try:
            async with asyncio.timeout(self._limits.answer_seconds) as deadline:
                request.scope[DEADLINE] = deadline
                return await endpoint(request)
        except FunnelError as error:
            return refusal(error)
        except TimeoutError:
            return refusal(NoAnswer())
        except ClientDisconnect:
            raise
        except Exception:
            request_id = secrets.token_hex(8)
            log.exception("request %s, %s %r", request_id, request.method, request.scope["path"])
            return broken(request_id)

    def _finished(self, response: Response, scope: Scope) -> Response:
        if self._limits.no_store:
            response.raw_headers.append(NO_STORE)
        if scope["method"] == "HEAD":
            response.body = b""
        return response


def _endpoint(route: Route, method: str) -> Endpoint | None:
    return route.methods.get("GET" if method == "HEAD" else method)


def _allowed(route: Route) -> set[str]:
    return {*route.methods} | ({"HEAD"} if "GET" in route.methods else set())
