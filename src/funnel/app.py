"""Putting the parts together: the only module that knows every part."""

import asyncio
import fcntl
import gc
import hashlib
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec.structs import replace as replace_value

from funnel.api.ending import ended_by_signals
from funnel.api.http import HttpDoor, Inside, make_api
from funnel.api.listen import Door, connections_allowed, listen
from funnel.api.settings import LIMITS, Connections, Limits
from funnel.api.tls import Certificates, certificates_of
from funnel.auth.keys import read_or_make
from funnel.auth.tokens import Tokens
from funnel.config import Config
from funnel.config import Server as ServerSettings
from funnel.config.exposure import refuse_exposed
from funnel.core.error import Unavailable
from funnel.core.info import TES_DOCUMENTATION, TES_TYPE, Organization, ServiceInfo
from funnel.database import sqlite
from funnel.logs import set_up
from funnel.metrics import Metrics
from funnel.plugins import Host, find, names
from funnel.ports import Backend, Database, Runtime, Storage
from funnel.service.attendance import MOST, TOKEN_LASTS, Attendance
from funnel.service.callers import Callers
from funnel.service.dispatch import Dispatch
from funnel.service.feed import begun
from funnel.service.hub import Hub
from funnel.service.ids import ids
from funnel.service.leftovers import clear_forever
from funnel.service.pace import pace_of
from funnel.service.retention import Retention
from funnel.service.submit import Submit
from funnel.service.sweep import Sweep
from funnel.service.tasks import TaskService
from funnel.service.watch import Watch
from funnel.service.worker import Worker
from funnel.storage.router import Router

log = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(minutes=1)
GARBAGE: Final = 20_000
"""Objects made and not freed, until the collector looks."""
RETENTION_EVERY = timedelta(seconds=10)


def now() -> datetime:
    """The one clock of the program."""
    return datetime.now(UTC)


def deployment_of(work_dir: Path) -> str:
    """Names a deployment: the same for every start of the server on one work directory."""
    where = f"{socket.gethostname()}:{work_dir.absolute()}"
    return hashlib.sha256(where.encode()).hexdigest()[:16]


def _files_of(config: Config) -> tuple[Path, ...]:
    """The database's and our keys; no task may read them or write over them."""
    path = Path(config.part(sqlite.PLUGIN).path)
    ends = ("", "-wal", "-shm", ".lock", ".reserve")
    database = (path.with_name(f"{path.name}{end}") for end in ends)
    return (*database, keys_of(config), *map(Path, filter(None, [config.server.tls.key_file])))


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
            metrics=Metrics(),
            deployment=deployment_of(work_dir),
            private=(work_dir, *_files_of(config)),
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

    async def storage(self) -> Router:
        opened: list[Storage] = [await self.open("storage", name) for name in names("storage")]
        return Router(opened)

    async def worker(self, tasks: Any, storage: Storage) -> tuple[Worker, Runtime]:
        runtime: Runtime = await self.open("runtime", self._config.runtime)
        worker = Worker(
            tasks=tasks,
            storage=storage,
            runtime=runtime,
            settings=self._config.worker,
            hostname=socket.gethostname(),
            deployment=self.host.deployment,
            now=now,
            metrics=self.host.metrics,
        )
        return worker, runtime


class RpcDoor(Protocol):
    """`funnel.api.grpc.door.GrpcDoor`."""

    def listen(self, host: str, port: int) -> int: ...
    def stop(self) -> None: ...
    async def serve(self) -> None: ...


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
    storage: Router
    metrics: Metrics
    tokens: Tokens
    loops: tuple[asyncio.Task[None], ...]
    """They never end, but for a fault of ours."""


@asynccontextmanager
async def server(config: Config) -> AsyncGenerator[Parts]:
    """Everything the server is made of, opened in order, working, and closed in reverse."""
    async with AsyncExitStack() as stack:
        stack.enter_context(_held_work_dir(Path(config.worker.work_dir)))
        tokens = Tokens(read_or_make(keys_of(config)), now)
        opening = Opening(stack, config)
        database: Database = await opening.open("database", config.database)
        callers = await opening.callers(tokens)
        storage = await opening.storage()
        worker, runtime = await opening.worker(database, storage)
        watch = Watch(runtime, opening.host.metrics)
        opening.host = replace(opening.host, tasks=database, run_attempt=watch.gated(worker.run))
        backend: Backend = await opening.open("compute", config.compute)
        submit = Submit(
            database,
            queue=config.compute,
            parameters=backend.parameters,
            new_id=ids(now),
            now=now,
        )
        dispatch = Dispatch(database, backend, config.compute, now, opening.host.metrics)
        attendance = Attendance(
            known=database,
            hub=Hub(database, most=MOST),
            terms=config.remote_workers.terms,
            now=now,
            queue=config.compute if find("compute", config.compute).remote else "",
            token=lambda task, fence: tokens.of_worker(task, fence, TOKEN_LASTS).reveal(),
        )
        sweep = Sweep(database, runtime, stop_grace=config.worker.stop_grace)
        retention = Retention(database, config.server.task_retention)
        sinks = {name: await opening.open("sink", name) for name in config.event_writers}
        deliveries = await begun(database, sinks, opening.host.metrics, config.events_from)
        loops = (
            *(asyncio.create_task(one.forever()) for one in deliveries),
            asyncio.create_task(watch.forever()),
            asyncio.create_task(dispatch.forever()),
            asyncio.create_task(attendance.forever()),
            asyncio.create_task(retention.forever(RETENTION_EVERY)),
            asyncio.create_task(sweep.forever(SWEEP_EVERY)),
            asyncio.create_task(clear_forever(worker, SWEEP_EVERY)),
        )
        stack.push_async_callback(_stop, *loops)
        yield Parts(
            config=config,
            database=database,
            backend=backend,
            tasks=TaskService(
                submit, database, config.server.task_access, config.server.foreign_task
            ),
            callers=callers,
            attendance=attendance,
            hub=Hub(database, most=_waiting(config.server)),
            storage=storage,
            metrics=opening.host.metrics,
            tokens=tokens,
            loops=loops,
        )


async def _stop(*loops: asyncio.Task[None]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def serve(config: Config) -> None:
    """
    Run the server until SIGTERM or SIGINT; containers are left running for the next start.

    Raises `Unavailable` when the database cannot keep anything any more.
    """
    set_up(
        level=config.logger.level,
        formatter=config.logger.formatter,
        output_file=config.logger.output_file,
    )
    with ended_by_signals() as ending:
        sockets = listen(config.server.host_name, config.server.http_port)
        reached = [str(one.getsockname()[0]) for one in sockets]
        tls = config.server.tls
        async with (
            certificates_of(tls.cert_file, tls.key_file, tls.client_ca_file) as certificates,
            server(config) as parts,
        ):
            refuse_exposed(config.server, reached, has_accounts=parts.callers.are_known)
            host, info = config.server.host_name, _info(parts)
            limits = _connections(config.server)
            door = Door(_api(parts, info), limits, parts.hub.close, certificates)
            rpc_door = _rpc_door(parts, info, certificates)
            rpc_port = rpc_door.listen(host, config.server.rpc_port)
            scheme = "https" if certificates else "http"
            log.info("serving TES at %s://%s:%d", scheme, host, sockets[0].getsockname()[1])
            log.info("serving gRPC at %s:%d", host, rpc_port)
            _tire_less()
            doors = {door.stop: door.serve(sockets), rpc_door.stop: rpc_door.serve()}
            await _until_broken(doors, parts, ending)


def _tire_less() -> None:
    """
    Let the collector of cycles pass over what stays for good, and look less often for others.

    Requests and tasks leave next to none, and it would look through thousands of them each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 20)


async def _until_broken(
    doors: Mapping[Callable[[], None], Coroutine[Any, Any, None]],
    parts: Parts,
    ending: asyncio.Event,
) -> None:
    """
    Serve at all doors, each with what stops it.

    A server that can keep nothing, or whose loops do not run, is better started anew.
    """
    serving = [asyncio.create_task(door) for door in doors.values()]
    broken = asyncio.create_task(parts.database.broken())
    asked = asyncio.create_task(ending.wait())
    await asyncio.wait({*serving, broken, asked, *parts.loops}, return_when=asyncio.FIRST_COMPLETED)
    for stop in doors:
        stop()
    await asyncio.gather(*serving)
    asked.cancel()
    for loop in parts.loops:
        if loop.done():
            loop.result()
    if broken.done():
        raise Unavailable(broken.result())
    broken.cancel()


def _waiting(settings: ServerSettings) -> int:
    """Requests that may wait for news; the other connections are there for the rest."""
    return max(1, connections_allowed(settings.max_connections) * 3 // 4)


def _connections(settings: ServerSettings) -> Connections:
    most = connections_allowed(settings.max_connections)
    if most < settings.max_connections:
        log.warning("only %d connections: the system allows no more open files", most)
    return Connections(
        most=most,
        header_seconds=settings.header_timeout.total_seconds(),
        idle_seconds=settings.idle_timeout.total_seconds(),
    )


def _info(parts: Parts) -> ServiceInfo:
    name = parts.config.server.service_name
    return ServiceInfo(
        id="org.ga4gh.funnel",
        name=name,
        type=TES_TYPE,
        organization=Organization(name=name, url=TES_DOCUMENTATION),
        version=version("funnel-tes"),
        storage=parts.storage.roots(),
        backend_parameters=tuple(sorted(parts.backend.parameters)),
        description="Funnel runs tasks in containers.",
        documentation_url=TES_DOCUMENTATION,
    )


def _api(parts: Parts, info: ServiceInfo) -> HttpDoor:
    return make_api(
        Inside(
            tasks=parts.tasks,
            callers=parts.callers,
            database=parts.database,
            hub=parts.hub,
            info=info,
            metrics=parts.metrics,
        ),
        _limits(parts.config.server),
    )


def _rpc_door(parts: Parts, info: ServiceInfo, certificates: Certificates | None) -> RpcDoor:
    """Loaded here, since gRPC takes its time and a worker without a server needs none."""
    # What we fork becomes another program at once; gRPC would write a line for each of them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    grpc, limits = import_module("funnel.api.grpc.services"), _limits(parts.config.server)
    door: RpcDoor = grpc.make_door(
        grpc.make_services(parts.tasks, parts.database, parts.attendance, info, limits),
        let_in=parts.callers.let_in,
        metrics=parts.metrics,
        limits=limits,
        certificates=certificates,
    )
    return door


def _limits(settings: ServerSettings) -> Limits:
    return replace_value(
        LIMITS,
        creates=settings.max_creates,
        calls=settings.max_calls,
        message=settings.max_message_size,
        body_seconds=settings.body_timeout.total_seconds(),
        no_store=settings.disable_http_cache,
        open_metrics=settings.open_metrics,
    )
