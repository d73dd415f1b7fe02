"""A real server without workers: tests say what happens to its tasks."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from doors import Promiseless

from funnel.api.answer import Answer, Reply
from funnel.api.connection import Serve
from funnel.api.http import Inside, make_api
from funnel.api.listen import Door
from funnel.api.request import Request
from funnel.api.settings import Connections
from funnel.core.access import TaskAccess
from funnel.core.container import Stream
from funnel.core.event import Change, ExecutorExited, ExecutorStarted, Level, Logged, Printed
from funnel.core.info import TES_TYPE, Organization, ServiceInfo
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.database.sqlite import Settings, make
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Database, unheard
from funnel.service.callers import Callers
from funnel.service.hub import Hub
from funnel.service.submit import Submit
from funnel.service.tasks import TaskService
from funnel.testing.build import EPOCH, EVERYONE, batch, moved, new_id

T = TypeVar("T")

INFO = ServiceInfo(
    id="org.example.funnel",
    name="Funnel",
    type=TES_TYPE,
    organization=Organization(name="Example", url="https://example.org"),
    version="1.2.3",
    storage=(),
    backend_parameters=(),
)


def unchanged(serve: Serve) -> Serve:
    return serve


def plain(serve: Serve) -> Serve:
    """TES and nothing else: other parameters are ignored, and other paths are not there."""

    async def other(request: Request, reply: Reply) -> None:
        given = dict(parse_qsl(request.query.decode()))
        request.query = urlencode({"view": given.get("view", "")}).encode()
        if request.path.endswith(("/events", "/logs")):
            request.path = "/nowhere"
        await serve(request, reply)

    return other


def strict(serve: Serve) -> Serve:
    """A server that takes no parameter but those of TES."""

    async def other(request: Request, reply: Reply) -> None:
        if b"wait" in request.query:
            await Answer(b"unknown parameter", 400, "text/plain").send(reply)
        else:
            await plain(serve)(request, reply)

    return other


class Board:
    """
    Serves in a thread of its own, so that commands can be called as they are.

    `kind` makes another server of ours.
    """

    def __init__(self, home: Path, kind: Callable[[Serve], Serve] = unchanged) -> None:
        self._home = home
        self.kind = kind
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._main(),))

    def open(self) -> None:
        self._thread.start()
        assert self._up.wait(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        self._loop.close()

    def happen(self, *events: Change) -> None:
        """All events are about one task."""
        self._do(self._database.append(batch(*events)))

    def started(self, task_id: str, index: int = 0) -> None:
        self.happen(
            moved(TaskId(task_id), State.RUNNING), ExecutorStarted(TaskId(task_id), EPOCH, index)
        )

    def printed(
        self,
        task_id: str,
        text: str,
        *,
        stream: Stream = Stream.STDOUT,
        start: int = 0,
        keep: int = 1000,
    ) -> None:
        end = start + len(text.encode())
        self.happen(Printed(TaskId(task_id), EPOCH, 0, stream, start, end, text, keep))

    def ended(
        self, task_id: str, state: State, *, code: int | None = None, error: str = ""
    ) -> None:
        one = TaskId(task_id)
        if code is not None:
            self.happen(ExecutorExited(one, EPOCH, 0, code))
        if error:
            self.happen(Logged(one, EPOCH, "System error", Level.ERROR, {"error": error}))
        self.happen(moved(one, state))

    def task(self, task_id: str) -> Task:
        return self._do(self._database.get(TaskId(task_id), View.FULL, EVERYONE))

    def _do(self, deed: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(deed, self._loop).result(30)

    async def _main(self) -> None:
        host = Host(now=lambda: EPOCH, deployment="test")
        async with (
            make(Settings(path=f"{self._home}/funnel.db"), host) as self._database,
            _serving(self._database, self.kind) as self.port,
        ):
            self._up.set()
            await self._over.wait()


@asynccontextmanager
async def _serving(database: Database, kind: Callable[[Serve], Serve]) -> AsyncGenerator[int]:
    submit = Submit(database, Promiseless(), new_id=new_id, now=lambda: EPOCH)
    inside = Inside(
        tasks=TaskService(submit, database, TaskAccess.ALL),
        callers=Callers(),
        database=database,
        hub=Hub(database),
        info=INFO,
        metrics=Metrics(),
    )
    app = make_api(inside)
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(kind(app), Connections(), unheard)
    serving = asyncio.create_task(door.serve([listener]))
    port: int = listener.getsockname()[1]
    yield port
    door.stop()
    await serving
