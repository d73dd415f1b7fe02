"""TES over HTTP and JSON."""

import asyncio
import logging
import math
import secrets
from typing import Final, Protocol

from funnel.api.about import AboutDoor
from funnel.api.answer import Answer, Reply, broken, no_such_method, no_such_path, refusal
from funnel.api.errors import NoAnswer
from funnel.api.live import LiveDoor
from funnel.api.request import Gone, Request
from funnel.api.routes import Endpoint, Route, Routes
from funnel.api.settings import LIMITS, Limits
from funnel.api.tes import TaskDoor
from funnel.core.error import FunnelError
from funnel.core.info import ServiceInfo
from funnel.metrics import Metrics
from funnel.ports import Live, Overview, Tasks
from funnel.service.hub import Hub
from funnel.service.tasks import TaskService

log = logging.getLogger(__name__)

NOWHERE: Final = Route("none", {})
NO_STORE: Final = b"cache-control: no-store\r\n"


class Known(Tasks, Live, Overview, Protocol):
    """What is asked of a database by those who follow tasks or count them."""


def make_api(
    *,
    tasks: TaskService,
    database: Known,
    hub: Hub,
    info: ServiceInfo,
    metrics: Metrics,
    limits: Limits = LIMITS,
) -> "HttpDoor":
    """Everything that a server answers to."""
    about = AboutDoor(info, database, metrics)
    live = LiveDoor(tasks, database, hub)
    door = TaskDoor(tasks, limits, live)
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

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Raises `Gone` when the client does not wait for the answer."""
        clock = asyncio.get_running_loop().time
        began = clock()
        request.deadline = began + self._limits.answer_seconds
        route, request.task_id = self._routes.find(request.path) or (NOWHERE, "")
        answer = await self._answer(route, request)
        request.deadline = math.inf
        if self._limits.no_store:
            answer.headers += NO_STORE
        await answer.send(reply)
        seconds = clock() - began - request.waited
        self._metrics.answered(route.template, request.method, answer.status, seconds)

    async def _answer(self, route: Route, request: Request) -> Answer:
        endpoint = _endpoint(route, request.method)
        if route is NOWHERE:
            return no_such_path(request.path)
        if endpoint is None:
            return no_such_method(request.method, _allowed(route))
        try:
            return await endpoint(request)
        except FunnelError as error:
            return refusal(error)
        except asyncio.CancelledError:
            if not request.is_late:
                raise
            return refusal(NoAnswer())
        except Gone:
            raise
        except Exception:
            request_id = secrets.token_hex(8)
            log.exception("request %s, %s %r", request_id, request.method, request.path)
            return broken(request_id)


def _endpoint(route: Route, method: str) -> Endpoint | None:
    return route.methods.get("GET" if method == "HEAD" else method)


def _allowed(route: Route) -> set[str]:
    return {*route.methods} | ({"HEAD"} if "GET" in route.methods else set())
