"""Putting the parts together: the only module that knows every part."""

import asyncio
import fcntl
import hashlib
import logging
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from funnel.api.listen import connections_allowed
from funnel.auth.keys import KeyFile
from funnel.auth.tokens import Tokens
from funnel.config import Config, files_of
from funnel.config import Server as ServerSettings
from funnel.config.exposure import refuse_exposed
from funnel.core.error import Unavailable
from funnel.database import sqlite
from funnel.metrics import Metrics
from funnel.net.clock import now
from funnel.plugins import Host, find, names
from funnel.ports import Backend, Database, Runtime, Storage
from funnel.service.attendance import MOST, TOKEN_LASTS, Attendance
from funnel.service.budget import Budget
from funnel.service.callers import Callers
from funnel.service.dispatch import Dispatch
from funnel.service.feed import begun
from funnel.service.hub import Hub
from funnel.service.ids import ids
from funnel.service.leftovers import clear_forever, is_foreign
from funnel.service.pace import pace_of
from funnel.service.retention import Retention
from funnel.service.submit import Submit
from funnel.service.sweep import Sweep
from funnel.service.tasks import TaskService
from funnel.service.watch import Watch
from funnel.service.worker import Worker
from funnel.storage.cache import CachedStorage
from funnel.storage.router import opened as storages
from funnel.storage.shelf import Shelf

log = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(minutes=1)
RETENTION_EVERY = timedelta(seconds=10)


def deployment_of(work_dir: Path) -> str:
    """Names a deployment: the same for every start of the server on one work directory."""
    where = f"{socket.gethostname()}:{work_dir.absolute()}"
    return hashlib.sha256(where.encode()).hexdigest()[:16]


def database_of(config: Config) -> str:
    """Names what a server keeps, since several may have had one work directory."""
    return deployment_of(Path(config.part(sqlite.PLUGIN).path))


def _files_of(config: Config) -> tuple[Path, ...]:
    """
    The database's, our keys, inputs of others, and what the settings name with their own file.

    No task may read them or write over them.
    """
    path = Path(config.part(sqlite.PLUGIN).path)
    ends = ("", "-wal", "-shm", ".lock", ".reserve")
    database = (path.with_name(f"{path.name}{end}") for end in ends)
    cache = filter(None, [config.worker.input_cache])
    return (*database, keys_of(config), *map(Path, cache), *files_of(config))


def keys_of(config: Config) -> Path:
    """Those that sign tokens."""
    path = Path(config.part(sqlite.PLUGIN).path)
    return Path(config.server.token_key_file or path.with_name(f"{path.name}.keys"))


@contextmanager
def _held_work_dir(path: Path) -> Generator[None]:
    """
    Keep it to this process; better refused now than with every task.

    Two servers on it would take each other's containers for leftovers.
    """
    _make_work_dir(path)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(
            f"Worker.WorkDir {path} is in use by another server; stop that one, or give this one"
            " another directory"
        ) from error
    else:
        yield
    finally:
        os.close(directory)


def _make_work_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise Unavailable(f"cannot make Worker.WorkDir {path}: {error.strerror}") from error
    if not writable:
        raise Unavailable(f"Worker.WorkDir {path} is not writable; choose another directory")


class Opening:
    """Opens adapters by name with their settings; all are closed in reverse."""

    def __init__(self, stack: AsyncExitStack, config: Config) -> None:
        self._stack = stack
        self._config = config
        work_dir = Path(config.worker.work_dir)
        self.host = Host(
            now=now,
            counted=Metrics(),
            deployment=deployment_of(work_dir),
            private=(work_dir, *_files_of(config)),
            reach=config.outbound.reach,
        )

    async def open(self, kind: str, name: str) -> Any:
        plugin = find(kind, name)
        return await self._stack.enter_async_context(
            plugin.make(self._config.part(plugin), self.host)
        )

    async def callers(self, tokens: Tokens) -> Callers:
        """Whoever the settings know; identities that they say nothing of are None."""
        opened = [await self.open("identity", name) for name in names("identity")]
        limits = self._config.server
        pace = pace_of(limits.max_call_rate, limits.max_create_rate)
        return Callers([one for one in opened if one], tokens, pace)

    async def storage(self) -> Storage:
        router = await self._stack.enter_async_context(storages(self._config.part, self.host))
        settings = self._config.worker
        if not settings.input_cache:
            return router
        shelf = Shelf(Path(settings.input_cache), settings.input_cache_size)
        shelf.open()
        return CachedStorage(router, shelf, self.host.metrics)

    async def worker(self, tasks: Any, storage: Storage) -> tuple[Worker, Runtime]:
        runtime: Runtime = await self.open("runtime", self._config.runtime)
        settings = self._config.worker
        worker = Worker(
            tasks=tasks,
            storage=storage,
            runtime=runtime,
            budget=Budget(settings.max_connections, settings.transfer_memory),
            settings=settings,
            hostname=socket.gethostname(),
            deployment=self.host.deployment,
            database=database_of(self._config),
            access=self._config.storage_access.known,
            now=now,
            metrics=self.host.metrics,
        )
        return worker, runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A running server but for its doors."""

    config: Config
    database: Database
    backend: Backend
    tasks: TaskService
    callers: Callers
    attendance: Attendance
    hub: Hub
    storage: Storage
    metrics: Metrics
    tokens: Tokens
    loops: tuple[asyncio.Task[None], ...]
    """They never end, but for a fault of ours."""


@asynccontextmanager
async def server(config: Config, reached: Sequence[str]) -> AsyncGenerator[Parts]:
    """
    Everything the server is made of, opened in order, working, and closed in reverse.

    It is `reached` at these addresses. Raises `Invalid` where that is not safe.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_held_work_dir(Path(config.worker.work_dir)))
        keys = KeyFile(keys_of(config))
        tokens = Tokens(keys, now)
        opening = Opening(stack, config)
        database: Database = await opening.open("database", config.database)
        callers = await opening.callers(tokens)
        refuse_exposed(config.server, reached, has_accounts=callers.are_known)
        storage = await opening.storage()
        worker, runtime = await opening.worker(database, storage)
        watch = Watch(runtime, opening.host.metrics)
        opening.host = replace(opening.host, tasks=database, run_attempt=watch.gated(worker.run))
        backend: Backend = await opening.open("compute", config.compute)
        dispatch = Dispatch(database, backend, config.compute, now, opening.host.metrics)
        attendance = _attendance(config, database, tokens)
        foreign = partial(is_foreign, worker)
        grace = config.worker.stop_grace
        sweep = Sweep(database, runtime, stop_grace=grace, is_foreign=foreign)
        sinks = {name: await opening.open("sink", name) for name in config.event_writers}
        deliveries = await begun(database, sinks, opening.host.metrics, config.events_from)
        loops = _begun(
            *(one.forever() for one in deliveries),
            keys.forever(),
            watch.forever(),
            dispatch.forever(),
            attendance.forever(),
            Retention(database, config.server.task_retention).forever(RETENTION_EVERY),
            sweep.forever(SWEEP_EVERY),
            clear_forever(worker, SWEEP_EVERY),
        )
        stack.push_async_callback(_stop, *loops)
        yield Parts(
            config=config,
            database=database,
            backend=backend,
            tasks=_tasks(config, database, dispatch),
            callers=callers,
            attendance=attendance,
            hub=Hub(database, most=_waiting(config.server)),
            storage=storage,
            metrics=opening.host.metrics,
            tokens=tokens,
            loops=loops,
        )


def _tasks(config: Config, database: Database, dispatch: Dispatch) -> TaskService:
    submit = Submit(
        database,
        dispatch,
        new_id=ids(now),
        now=now,
        access=config.storage_access.known,
    )
    return TaskService(submit, database, config.server.task_access, config.server.foreign_task)


def _attendance(config: Config, database: Database, tokens: Tokens) -> Attendance:
    return Attendance(
        known=database,
        hub=Hub(database, most=MOST),
        terms=config.remote_workers.terms,
        now=now,
        database=database_of(config),
        queue=config.compute if find("compute", config.compute).remote else "",
        token=lambda task, fence: tokens.of_worker(task, fence, TOKEN_LASTS).reveal(),
    )


def _begun(*loops: Coroutine[Any, Any, None]) -> tuple[asyncio.Task[None], ...]:
    return tuple(map(asyncio.create_task, loops))


async def _stop(*loops: asyncio.Task[None]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


def _waiting(settings: ServerSettings) -> int:
    """Requests that may wait for news; the other connections are there for the rest."""
    return max(1, connections_allowed(settings.max_connections) * 3 // 4)
