"""TES over HTTP and JSON."""

import asyncio
import logging
import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from funnel.api.about import AboutDoor
from funnel.api.answer import Answer, Reply, broken, no_such_method, no_such_path, refusal
from funnel.api.errors import NoAnswer
from funnel.api.gate import Gate
from funnel.api.live import LiveDoor
from funnel.api.login import LoginDoor
from funnel.api.operations import OPEN_METRICS, OPERATIONS
from funnel.api.request import Gone, Request
from funnel.api.routes import Route, Routes
from funnel.api.settings import LIMITS, Limits
from funnel.api.tes import TaskDoor
from funnel.core.error import FunnelError, Unauthenticated
from funnel.core.info import ServiceInfo
from funnel.metrics import Metrics
from funnel.ports import Live, Overview, Tasks
from funnel.service.callers import Callers
from funnel.service.hub import Hub
from funnel.service.tasks import TaskService

log = logging.getLogger(__name__)

NOWHERE: Final = Route("none", {})
NO_STORE: Final = b"cache-control: no-store\r\n"


class Known(Tasks, Live, Overview, Protocol):
    """What is asked of a database by those who follow tasks or count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the door leads to."""

    tasks: TaskService
    callers: Callers
    database: Known
    hub: Hub
    info: ServiceInfo
    metrics: Metrics


def make_api(inside: Inside, limits: Limits = LIMITS) -> "HttpDoor":
    """Everything that a server answers to."""
    metrics, hub = inside.metrics, inside.hub
    about = AboutDoor(inside.info, inside.database, metrics)
    live = LiveDoor(inside.tasks, inside.database, hub)
    door = TaskDoor(inside.tasks, limits, live)
    metrics.watch_watchers(lambda: hub.waiting)
    tes = {**about.tes_routes(), **door.routes(), **live.routes()}
    login = LoginDoor(inside.callers)
    routes = Routes(tes, {**about.own_routes(), **login.routes()})
    gate = Gate(inside.callers, OPEN_METRICS if limits.open_metrics else OPERATIONS)
    return HttpDoor(routes, gate, metrics, limits)


class HttpDoor:
    """Finds the endpoint, turns what it raises into answers, and counts."""

    def __init__(self, routes: Routes, gate: Gate, metrics: Metrics, limits: Limits) -> None:
        self._routes = routes
        self._gate = gate
        self._metrics = metrics
        self._limits = limits

    @property
    def routes(self) -> Mapping[str, Collection[str]]:
        """The methods of each route, by its template."""
        return {route.template: route.methods for route in self._routes}

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
        try:
            return await self._answer_of(route, request)
        except Unauthenticated as error:
            return self._gate.refusal(error)
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

    async def _answer_of(self, route: Route, request: Request) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        await self._gate.let_in(request, route.template, method)
        if route is NOWHERE:
            return no_such_path(request.path)
        if method not in route.methods:
            return no_such_method(request.method, _allowed(route))
        self._gate.demand_row(route.template, method)
        return await route.methods[method](request)


def _allowed(route: Route) -> set[str]:
    return {*route.methods} | ({"HEAD"} if "GET" in route.methods else set())
