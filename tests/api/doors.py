"""The HTTP door, put together with or without a server around it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from funnel.api.connection import Serve
from funnel.api.http import HttpDoor, Inside, make_api
from funnel.api.listen import Door
from funnel.api.settings import Connections, Limits
from funnel.core.access import ForeignTask, TaskAccess
from funnel.core.info import TES_TYPE, Organization, ServiceInfo
from funnel.core.storageaccess import NO_RULES, StorageRules
from funnel.metrics import Metrics
from funnel.ports import Attempt, Database, unheard
from funnel.service.callers import Callers
from funnel.service.hub import Hub
from funnel.service.submit import Submit
from funnel.service.tasks import TaskService
from funnel.testing.build import EPOCH, new_id

INFO = ServiceInfo(
    id="org.example.funnel",
    name="Funnel",
    type=TES_TYPE,
    organization=Organization(name="Example", url="https://example.org"),
    version="1.2.3",
    storage=("file:///data",),
    backend_parameters=("vmsize",),
    description="Runs tasks",
    updated_at=EPOCH,
)
LIMITS = Limits(body=64 * 1024, body_seconds=0.2, answer_seconds=5)


@dataclass(frozen=True, slots=True)
class Promiseless:
    """Answers `service.submit.Handover` for a backend that has to be asked."""

    parameters: frozenset[str] = frozenset()
    queue: str = "local"

    def promise(self, attempt: Attempt) -> None:
        """It is not known what the backend is going to say."""

    def take(self, attempt: Attempt) -> None:
        raise AssertionError(f"nobody has promised to take {attempt.task_id}")


def door(
    database: Database,
    metrics: Metrics | None = None,
    limits: Limits = LIMITS,
    hub: Hub | None = None,
    *,
    callers: Callers | None = None,
    tasks: TaskService | None = None,
) -> HttpDoor:
    inside = Inside(
        tasks=tasks or tasks_of(database),
        callers=callers or Callers(),
        database=database,
        hub=hub or Hub(database),
        info=INFO,
        metrics=metrics or Metrics(),
    )
    return make_api(inside, limits)


def tasks_of(
    database: Database,
    access: TaskAccess = TaskAccess.ALL,
    foreign: ForeignTask = ForeignTask.NOT_FOUND,
    storage: StorageRules = NO_RULES,
) -> TaskService:
    parameters = frozenset({"vmsize", "max_attempts", "retry_on"})
    submit = Submit(
        database,
        Promiseless(parameters),
        new_id=new_id,
        now=lambda: EPOCH,
        access=storage,
    )
    return TaskService(submit, database, access, foreign)


@asynccontextmanager
async def client(app: Serve) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as opened,
    ):
        yield opened


@asynccontextmanager
async def served(app: Serve) -> AsyncGenerator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Door(app, Connections(), unheard)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    found: int = listener.getsockname()[1]
    yield found
    server.stop()
    await serving


class _Failing:
    def __init__(self, act: Callable[[], Awaitable[object]]) -> None:
        self._act = act

    def on_commit(self, heard: object) -> None:
        """There never is one."""

    def __getattr__(self, _name: str) -> Callable[..., Awaitable[object]]:
        return lambda *_, **__: self._act()


def failing(error: Exception) -> Any:
    """A database that answers everything with one error."""

    async def act() -> None:
        raise error

    return _Failing(act)


def stuck() -> Any:
    """A database that never answers."""
    return _Failing(asyncio.Event().wait)
