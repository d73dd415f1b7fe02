"""Being reached over gRPC, and ending."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from funnel.api.grpc.guard import Guard
from funnel.api.grpc.settings import DRAIN, PARTING, STREAMS_END, options
from funnel.api.listen import listen
from funnel.api.settings import Limits
from funnel.core.error import Unavailable
from funnel.together import undisturbed

SETTING: Final = "Server.RPCPort"
EVERY: Final = "::"


@dataclass(frozen=True, slots=True)
class Service:
    """`add` is the generated function that adds the servicer to a server."""

    name: str
    add: Callable[[Any, aio.Server], None]
    servicer: Any


class GrpcDoor:
    """
    Takes calls until it is told to stop, and then answers those that have come.

    Without `credentials` it speaks in plain text.
    """

    def __init__(
        self,
        services: Sequence[Service],
        guard: Guard,
        limits: Limits,
        *,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self._guard = guard
        self._credentials = credentials
        self._stopping = asyncio.Event()
        self._health = health.aio.HealthServicer()
        self._server = aio.server(
            interceptors=[guard], options=options(limits), maximum_concurrent_rpcs=_all(limits)
        )
        self._names = [service.name for service in services]
        for service in services:
            service.add(service.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)

    def listen(self, host: str, port: int) -> int:
        """
        The port at all addresses of the host; 0 lets the system choose a free one.

        Raises `Unavailable`, for a port that is taken or a host that is not this machine's.
        """
        try:
            for address in _addresses(host):
                port = self._bind(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        except (OSError, RuntimeError) as error:
            # gRPC keeps the reason to itself; who tries the same in another way is told.
            for one in listen(host, port, SETTING):
                one.close()
            raise Unavailable(f"cannot listen at {host}, port {port}") from error
        return port

    def stop(self) -> None:
        """Take no calls any more; `serve` then returns when all are answered."""
        self._stopping.set()

    async def serve(self) -> None:
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            # Cancelled in the middle, it would serve on.
            await undisturbed(self._server.start())
            await self._stopping.wait()
        finally:
            await self._drain()

    async def _drain(self) -> None:
        """
        Closing drops a call that comes in that very moment; so its caller is told before.

        Who asks for our health hears of the end, too.
        """
        await self._health.enter_graceful_shutdown()
        self._guard.entrance.close()
        late = asyncio.get_running_loop().call_later(STREAMS_END, self._guard.end_streams)
        await asyncio.sleep(PARTING)
        await self._server.stop(DRAIN)
        late.cancel()

    def _bind(self, address: str) -> int:
        if self._credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._credentials)


def _all(limits: Limits) -> int:
    """The guard counts each kind for itself; more than all of them are not even looked at."""
    return limits.calls + limits.workers + limits.strangers


def _addresses(host: str) -> list[str]:
    """gRPC takes all addresses of IPv4 with those of IPv6; asked for both it would fail."""
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return [EVERY] if EVERY in addresses else addresses
