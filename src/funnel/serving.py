"""A server with its doors open, until it is told to end."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final, Protocol

from msgspec.structs import replace

from funnel.api.ending import ended_by_signals
from funnel.api.http import HttpDoor, Inside, make_api
from funnel.api.listen import Door, connections_allowed, listen
from funnel.api.settings import LIMITS, Connections, Limits
from funnel.api.tls import Certificates, certificates_of
from funnel.app import Parts, server
from funnel.config import Config
from funnel.config import Server as ServerSettings
from funnel.core.error import Unavailable
from funnel.core.info import TES_DOCUMENTATION, TES_TYPE, Organization, ServiceInfo
from funnel.logs import set_up

log = logging.getLogger(__name__)

GARBAGE: Final = 20_000
"""Objects made and not freed, until the collector looks."""
SWITCH: Final = 0.0002
"""
Seconds after which a thread lets others have the interpreter.

A commit has its end to tell; with Python's 5 ms it is kept waiting for longer than the disk takes.
"""


class RpcDoor(Protocol):
    """`funnel.api.grpc.door.GrpcDoor`."""

    def listen(self, host: str, port: int) -> int: ...
    def stop(self) -> None: ...
    async def serve(self) -> None: ...


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
            server(config, reached) as parts,
        ):
            host, info = config.server.host_name, _info(parts)
            limits = _connections(config.server)
            door = Door(_api(parts, info), limits, parts.hub.close, certificates)
            rpc_door = _rpc_door(parts, info, certificates)
            rpc_port = rpc_door.listen(host, config.server.rpc_port)
            scheme = "https" if certificates else "http"
            log.info("serving TES at %s://%s:%d", scheme, host, sockets[0].getsockname()[1])
            log.info("serving gRPC at %s:%d", host, rpc_port)
            _tire_less()
            sys.setswitchinterval(SWITCH)
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
    return replace(
        LIMITS,
        creates=settings.max_creates,
        calls=settings.max_calls,
        message=settings.max_message_size,
        body_seconds=settings.body_timeout.total_seconds(),
        no_store=settings.disable_http_cache,
        open_metrics=settings.open_metrics,
    )
