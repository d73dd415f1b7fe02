"""Everybody makes every call."""

from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final, NamedTuple

from everybody import CALLERS, TARGETS, Known, table, whose
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc.aio import AioRpcError, Channel
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from rpc import channel, door

from funnel.wire.gen import tes_pb2
from funnel.wire.gen.worker_pb2 import Reason

SHORT: Final = {
    "UNAUTHENTICATED": "401",
    "PERMISSION_DENIED": "403",
    "NOT_FOUND": "404",
    "UNIMPLEMENTED": "501",
}
"""As over HTTP, which is shorter and easier to compare."""
REPORT: Final = "funnel.worker.v1.Report"
CROSSED: Final = "Internal error from Core"
"""What gRPC's client says of a call that ended while it was writing."""
TRIES: Final = 5
ABOUT_TASKS: Final = frozenset(
    {"tes.GetTaskRequest", "tes.CancelTaskRequest", "events.Event", REPORT}
)
"""Messages that name a task."""


def _given(kind: str, task_id: str) -> dict[str, Any]:
    match kind:
        case "tes.Task":
            return {"executors": [{"image": "alpine", "command": ["true"]}]}
        case "tes.ListTasksRequest":
            return {"view": "BASIC"}
        case "events.Event":
            log = {"msg": "hello", "level": "info"}
            at = "2026-01-01T00:00:00Z"
            return {"id": task_id, "type": "SYSTEM_LOG", "timestamp": at, "system_log": log}
        case "funnel.worker.v1.Report":
            hello = {"protocol": 1, "task_id": task_id, "fence": 1, "holder": "here"}
            return {"number": 1, "hello": hello}
        case "grpc.reflection.v1alpha.ServerReflectionRequest":
            return {"list_services": ""}
        case _:
            return {"id": task_id} if kind in ABOUT_TASKS else {}


class Row(NamedTuple):
    method: MethodDescriptor
    target: str

    @property
    def name(self) -> str:
        return f"{self.path:<62} {self.target:<8}"

    @property
    def path(self) -> str:
        service, _, method = self.method.full_name.rpartition(".")
        return f"/{service}/{method}"


async def table_of_grpc(inside: Known) -> str:
    of = door(inside.database, callers=inside.callers, tasks=inside.tasks)
    async with channel(of) as wire:

        async def cell(row: Row, caller: str) -> str:
            return await _cell(inside, wire, row, caller)

        services = await _services(wire)
        rows = [row for service in sorted(services) for row in _rows(service)]
        return await table([(row.name, row) for row in rows], cell)


async def _services(wire: Any) -> list[str]:
    """What the running server itself says that it has."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(wire)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    said = tuple(CALLERS["admin"]("").items())
    async for answer in stub.ServerReflectionInfo(iter([asked]), metadata=said):
        return [one.name for one in answer.list_services_response.service]
    raise AssertionError("nothing is said of services")


def _rows(service: str) -> Iterator[Row]:
    for method in Default().FindServiceByName(service).methods:
        for target in TARGETS if method.input_type.full_name in ABOUT_TASKS else ("",):
            yield Row(method, target)


async def _cell(inside: Known, wire: Channel, row: Row, caller: str) -> str:
    """The code; with it whose tasks are shown, and what a worker is told."""
    tasks = await inside.tasks_for(caller)
    kind = row.method.input_type
    given = _given(kind.full_name, tasks.get(row.target, ""))
    message = ParseDict(given, GetMessageClass(kind)())
    said = tuple(CALLERS[caller](tasks["own"]).items())
    try:
        answers = await _whole(wire, row, message, said)
    except AioRpcError as error:
        return SHORT.get(error.code().name, error.code().name)
    if row.path == "/tes.TaskService/ListTasks":
        return f"200 {whose([task.name for task in answers[0].tasks])}"
    if kind.full_name == REPORT:
        (order,) = answers
        return f"200 {Reason.Name(order.refused.reason) if order.HasField('refused') else 'work'}"
    return "200"


async def _whole(wire: Any, row: Row, message: Any, said: Any) -> list[Any]:
    """Asks again where the call had ended before the client had written: it forgets the reason."""
    for _ in range(TRIES):
        try:
            return [one async for one in _answers(wire, row, message, said)]
        except AioRpcError as error:
            if error.details() != CROSSED:
                raise
    raise AssertionError(CROSSED)


async def _answers(wire: Any, row: Row, message: Any, said: Any) -> AsyncGenerator[Any]:
    """The first, of a call that may have many."""
    method = row.method
    write = GetMessageClass(method.input_type).SerializeToString
    read = GetMessageClass(method.output_type).FromString
    if method.client_streaming:
        call = wire.stream_stream(row.path, write, read)
        message = iter([message])
    elif method.server_streaming:
        call = wire.unary_stream(row.path, write, read)
    else:
        call = wire.unary_unary(row.path, write, read)
        yield await call(message, metadata=said)
        return
    stream = call(message, metadata=said)
    yield await anext(aiter(stream))
    stream.cancel()


async def code_of_grpc(wire: Any, path: str, task_id: str, caller: str) -> str:
    said = tuple(CALLERS[caller]("").items())
    message = tes_pb2.GetTaskRequest(id=task_id).SerializeToString()
    try:
        await wire.unary_unary(path)(message, metadata=said)
    except AioRpcError as error:
        heads = [*error.initial_metadata(), *error.trailing_metadata()]
        return f"{error.code()} {heads} {error.details()}"
    return "OK"
