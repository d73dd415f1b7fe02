"""A TES server over gRPC."""

import os
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from msgspec import json

from funnel.client.address import Address
from funnel.client.background import demand_process
from funnel.client.credentials import authorization
from funnel.client.environment import chosen
from funnel.client.given import TIMEOUT, TRIES, Described, Tags, pairs
from funnel.core.error import (
    Busy,
    Conflict,
    Denied,
    FunnelError,
    Invalid,
    NotFound,
    Problem,
    Unauthenticated,
    Unavailable,
)
from funnel.core.info import ServiceInfo
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Spec, Task, TaskId
from funnel.wire.gen import fault_pb2 as fault
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub
from funnel.wire.json import read_spec
from funnel.wire.protobuf import read_info, read_task, write_spec

A = TypeVar("A")
Q = TypeVar("Q")

SERVER: Final = "FUNNEL_RPC_SERVER"
PORT: Final = 9090
DEFAULT: Final = f"localhost:{PORT}"

KINDS: Final[dict[str, type[FunnelError]]] = {
    "INVALID_ARGUMENT": Invalid,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": Denied,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": Conflict,
    "FAILED_PRECONDITION": Conflict,
    "RESOURCE_EXHAUSTED": Busy,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
}

RETRY: Final = {
    "maxAttempts": TRIES,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
}
"""Done by gRPC itself, which adds jitter and obeys a server that asks for another pause."""
PUSHBACK: Final = "grpc-retry-pushback-ms"
DETAILS: Final = "grpc-status-details-bin"
OPTIONS: Final = (
    ("grpc.service_config", json.encode({"methodConfig": [{"name": [{}], "retryPolicy": RETRY}]})),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_receive_message_length", -1),
)


class GrpcClient:
    """
    Talks to one server over gRPC: `with GrpcClient("localhost:9090") as client`.

    The calls are those of `Client` that gRPC has. Without a name the server is that of
    `FUNNEL_RPC_SERVER`, or the one on this machine; `https://host:port` is one with TLS. Who asks
    is said as for `Client`. A call may take `timeout` seconds, all its tries together. Threads may
    share a client; a process that was forked needs one of its own.
    """

    def __init__(
        self,
        server: str = "",
        *,
        user: str = "",
        password: str = "",
        token: str = "",
        ca_file: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        named = server or os.environ.get(SERVER) or DEFAULT
        self.server = chosen(named, user=user, password=password, token=token, ca_file=ca_file)
        self._process = os.getpid()
        self._timeout = timeout
        self._channel = _channel(self.server)
        self._tes = TaskServiceStub(self._channel)
        who = authorization(self.server)
        self._who = (("authorization", who),) if who else ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.server.shown}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ended: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connection, and what other threads still ask."""
        if os.getpid() == self._process:
            self._channel.close()

    def create(self, task: Described, *, key: str = "") -> TaskId:
        """The id of the new task. With a `key` that was used before: of the task made then."""
        named = ("idempotency-key", key or str(uuid.uuid4()))
        answer = self._call(self._tes.CreateTask, write_spec(_spec(task)), named)
        return TaskId(answer.id)

    def get(self, task_id: str, view: View = View.FULL) -> Task:
        return read_task(self._call(self._tes.GetTask, pb.GetTaskRequest(id=task_id, view=view)))

    def list(
        self,
        *,
        state: State | None = None,
        tags: Tags = (),
        name_prefix: str = "",
        view: View = View.BASIC,
    ) -> Generator[Task]:
        """Tasks, newest first, over as many pages as there are; see `Client.list`."""
        keys_and_values = pairs(tags)
        asked = pb.ListTasksRequest(
            state=pb.State.Value(state or State.UNKNOWN),
            tag_key=[key for key, _ in keys_and_values],
            tag_value=[value for _, value in keys_and_values],
            name_prefix=name_prefix,
            view=view,
        )
        more = True
        while more:
            answer = self._call(self._tes.ListTasks, asked)
            yield from map(read_task, answer.tasks)
            more = answer.next_page_token not in {"", asked.page_token}
            asked.page_token = answer.next_page_token

    def cancel(self, task_id: str) -> None:
        """Ask for the end of a task; one that has ended stays as it is."""
        self._call(self._tes.CancelTask, pb.CancelTaskRequest(id=task_id))

    def service_info(self) -> ServiceInfo:
        """What the server says of itself."""
        return read_info(self._call(self._tes.GetServiceInfo, pb.GetServiceInfoRequest()))

    def _call(
        self, method: "grpc.UnaryUnaryMultiCallable[Q, A]", asked: Q, *more: tuple[str, str]
    ) -> A:
        demand_process(self._process)
        try:
            return method(asked, timeout=self._timeout, metadata=(*self._who, *more))
        except grpc.RpcError as error:
            raise _failure(self.server, error) from error


def _spec(task: Described) -> Spec:
    return read_spec(json.encode(task)) if isinstance(task, Mapping) else task


def _channel(server: Address) -> grpc.Channel:
    named = urlsplit(server.shown)
    target = named.netloc if named.port else f"{named.netloc}:{PORT}"
    if not server.private:
        return grpc.insecure_channel(target, options=OPTIONS)
    try:
        authorities = Path(server.ca_file).read_bytes() if server.ca_file else None
    except OSError as error:
        words = f"cannot read the authorities in {server.ca_file}: {error.strerror}"
        raise Invalid(words) from error
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authorities), options=OPTIONS)


def _failure(server: Address, call: Any) -> FunnelError:
    """What a call stands for that has failed."""
    code, said = call.code().name, call.details() or ""
    trailers: dict[str, Any] = dict(call.trailing_metadata() or ())
    kind = KINDS.get(code, FunnelError)
    failure = kind(f"{server.shown} does not answer: {said}" if kind is Unavailable else said)
    failure.code = code
    failure.retry_after = int(trailers.get(PUSHBACK, 0)) / 1000
    if isinstance(failure, Invalid):
        failure.problems = tuple(_problems(trailers.get(DETAILS, b"")))
    return failure


def _problems(details: bytes) -> Iterator[Problem]:
    with suppress(DecodeError):
        for one in fault.Status.FromString(details).details:
            if one.type_url.endswith("/google.rpc.BadRequest"):
                for wrong in fault.BadRequest.FromString(one.value).field_violations:
                    yield Problem(wrong.field, wrong.description)
