"""Who makes a call, and whether they may. What has no row here, nobody may."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from grpc.aio import ServicerContext

from funnel.core.access import Caller, Operation
from funnel.core.error import Denied, Unavailable
from funnel.ports import Credentials

LetIn: TypeAlias = Callable[[Credentials, Operation], Awaitable[Caller]]
"""As `Callers.let_in`."""

OPERATIONS: Final[Mapping[str, Operation]] = {
    "/tes.TaskService/CreateTask": Operation.CREATE_TASK,
    "/tes.TaskService/GetTask": Operation.GET_TASK,
    "/tes.TaskService/ListTasks": Operation.LIST_TASKS,
    "/tes.TaskService/CancelTask": Operation.CANCEL_TASK,
    "/tes.TaskService/GetServiceInfo": Operation.SERVICE_INFO,
    "/events.EventService/WriteEvent": Operation.WRITE_EVENT,
    "/funnel.worker.v1.WorkerService/Work": Operation.WORK,
    "/scheduler.SchedulerService/ListNodes": Operation.LIST_NODES,
    "/scheduler.SchedulerService/GetNode": Operation.LIST_NODES,
    "/scheduler.SchedulerService/PutNode": Operation.RUN_NODE,
    "/scheduler.SchedulerService/DeleteNode": Operation.RUN_NODE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Operation.SERVICE_INFO,
}
OPEN: Final = frozenset(f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch"))
"""For everybody: balancers of load have no credentials."""

STOPPING: Final = "the server stops; come again"

_CALLER: Final[ContextVar[Caller]] = ContextVar("caller")


def caller() -> Caller:
    """Who makes the call that is being answered."""
    return _CALLER.get()


class Entrance:
    """The one place where what a call brings along becomes a caller."""

    def __init__(self, let_in: LetIn) -> None:
        self._let_in = let_in
        self._closed = False

    def close(self) -> None:
        """Let nobody in any more but who asks for our health."""
        self._closed = True

    async def let_in(self, method: str, context: ServicerContext[Any, Any]) -> None:
        """Raises `Unauthenticated`, `Busy`, and `Denied` for what the caller may never do."""
        if method in OPEN:
            return
        if self._closed:
            raise Unavailable(STOPPING)
        if method not in OPERATIONS:
            raise Denied(f"nobody may call {method}")
        _CALLER.set(await self._let_in(credentials(context), OPERATIONS[method]))


def credentials(context: ServicerContext[Any, Any]) -> Credentials:
    """Of a name that is given several times, all values count, as in HTTP."""
    headers: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Credentials(headers=headers, peer=address(context.peer()), names=names(context))


def names(context: ServicerContext[Any, Any]) -> tuple[str, ...]:
    """Those in the certificate of the client, which the port has verified where there is one."""
    return tuple(name.decode() for name in context.peer_identities() or ())


@lru_cache(1024)
def address(peer: str) -> str:
    """
    Without family and port, as gRPC gives them.

    >>> address("ipv4:127.0.0.1:50000"), address("ipv6:%5B::1%5D:50000"), address("unix:/a")
    ('127.0.0.1', '::1', '')
    """
    family, _, rest = peer.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return ""
    return unquote(rest).rpartition(":")[0].strip("[]")
