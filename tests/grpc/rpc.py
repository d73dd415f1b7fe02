"""The gRPC door on a database of the test's own, with a channel to it, and the HTTP door beside."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpx
from doors import INFO, tasks_of
from doors import client as http_client
from doors import door as http_door
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc.aio import (
    AioRpcError,
    Channel,
    UnaryUnaryCall,
    UnaryUnaryMultiCallable,
    insecure_channel,
)

from funnel.api.grpc.door import GrpcDoor
from funnel.api.grpc.faults import DETAILS
from funnel.api.grpc.services import make_door, make_services
from funnel.api.settings import Limits
from funnel.api.tls import Certificates
from funnel.core.lease import Terms
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.attendance import Attendance
from funnel.service.callers import Callers
from funnel.service.hub import Hub
from funnel.service.tasks import TaskService
from funnel.testing.build import EPOCH
from funnel.together import alongside
from funnel.wire.gen import fault_pb2
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub

LIMITS = Limits(answer_seconds=5)


class Outcome(NamedTuple):
    """What came of a request, whatever the door. `code` is OK, or a word of gRPC."""

    code: str
    text: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    result: Any = None


class Both(NamedTuple):
    http: httpx.AsyncClient
    tes: "TaskServiceAsyncStub"


def door(
    database: Database,
    metrics: Metrics | None = None,
    limits: Limits = LIMITS,
    *,
    callers: Callers | None = None,
    tasks: TaskService | None = None,
    certificates: Certificates | None = None,
) -> GrpcDoor:
    return make_door(
        make_services(tasks or tasks_of(database), database, _attendance(database), INFO, limits),
        let_in=(callers or Callers()).let_in,
        metrics=metrics or Metrics(),
        limits=limits,
        certificates=certificates,
    )


def _attendance(database: Database) -> Attendance:
    """Workers may come for the tasks here; none does by itself."""
    return Attendance(
        known=database, hub=Hub(database), terms=Terms(), now=lambda: EPOCH, queue="local"
    )


@asynccontextmanager
async def channel(of: GrpcDoor) -> AsyncGenerator[Channel]:
    port = of.listen("127.0.0.1", 0)
    async with alongside(of.serve()), insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened


@asynccontextmanager
async def both_doors(database: Database, tasks: TaskService | None = None) -> AsyncGenerator[Both]:
    async with (
        http_client(http_door(database, tasks=tasks)) as http,
        channel(door(database, tasks=tasks)) as opened,
    ):
        yield Both(http, TaskServiceStub(opened))


def raw_method(wire: Channel, method: str) -> Callable[[bytes], UnaryUnaryCall[bytes, bytes]]:
    """Bytes there and bytes back."""
    made: UnaryUnaryMultiCallable[bytes, bytes] = wire.unary_unary(method)
    return made


async def over_grpc(call: Any) -> Outcome:
    try:
        message: Message = await call
    except AioRpcError as error:
        return Outcome(error.code().name, error.details() or "", _problems(error))
    return Outcome("OK", result=lean(MessageToDict(message, preserving_proto_field_name=True)))


def over_http(answer: httpx.Response) -> Outcome:
    body = answer.json()
    if answer.status_code == 200:
        return Outcome("OK", result=lean(body))
    problems = ((one["field"], one["message"]) for one in body.get("problems", ()))
    return Outcome(body["code"], body["error"], tuple(problems))


def lean(value: Any) -> Any:
    """Without what is empty or a default: one door writes it, the other does not."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        fields = {name: lean(one) for name, one in given.items()}
        return {name: one for name, one in fields.items() if one not in ("", 0, "FILE", [], {})}
    return [lean(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def _problems(error: AioRpcError) -> tuple[tuple[str, str], ...]:
    details = dict(error.trailing_metadata()).get(DETAILS)
    if not isinstance(details, bytes):
        return ()
    status = fault_pb2.Status.FromString(details)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    found = fault_pb2.BadRequest.FromString(status.details[0].value)
    return tuple((one.field, one.description) for one in found.field_violations)
