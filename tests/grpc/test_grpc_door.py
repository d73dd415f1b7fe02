"""The door itself: what it says of itself, what it does not take, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest
from doors import failing, stuck
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc.aio import AioRpcError, Channel, insecure_channel
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from listening import until
from msgspec.structs import replace
from rpc import LIMITS, channel, door, over_grpc, raw_method

from funnel.api.grpc.entrance import OPEN, OPERATIONS
from funnel.core.access import Caller
from funnel.core.error import Unavailable
from funnel.metrics import Metrics
from funnel.ports import Credentials, Database
from funnel.service.callers import Callers
from funnel.together import alongside
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub

STEP = pb.Executor(image="alpine", command=["true"])
SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
OURS = ("tes.TaskService", "events.EventService", "scheduler.SchedulerService")


def health(wire: Channel) -> Any:
    return HealthStub(wire)


async def reflected(wire: Channel, **asked: Any) -> ServerReflectionResponse:
    async def requests() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(**asked)

    stub: Any = ServerReflectionStub(cast("Any", wire))
    answer: ServerReflectionResponse = await anext(aiter(stub.ServerReflectionInfo(requests())))
    return answer


async def services(wire: Channel) -> set[str]:
    answer = await reflected(wire, list_services="")
    return {one.name for one in answer.list_services_response.service}


async def test_reflection_names_every_service_and_knows_its_messages(wire: Channel) -> None:
    found = await services(wire)
    assert found >= {*OURS, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    for name in found:
        answer = await reflected(wire, file_containing_symbol=name)
        assert answer.file_descriptor_response.file_descriptor_proto, name


async def test_every_method_that_is_served_has_a_row_for_who_may_call_it(wire: Channel) -> None:
    """And no row is left of what is gone."""
    methods = set[str]()
    for name in await services(wire):
        answer = await reflected(wire, file_containing_symbol=name)
        methods |= methods_of(name, answer.file_descriptor_response.file_descriptor_proto)
    assert methods == {*OPERATIONS, *OPEN}


def methods_of(service: str, files: Any) -> set[str]:
    parsed = [FileDescriptorProto.FromString(one) for one in files]
    return {
        f"/{service}/{method.name}"
        for file in parsed
        for one in file.service
        if f"{file.package}.{one.name}" == service
        for method in one.method
    }


async def test_a_method_that_there_is_not_is_unimplemented(wire: Channel) -> None:
    for name in ("/tes.TaskService/DropTask", "/tes.Nobody/GetTask", "/x"):
        code = await raw_method(wire, name)(b"").code()
        assert code.name == "UNIMPLEMENTED"


async def test_each_service_is_healthy_and_one_that_is_not_there_is_unknown(wire: Channel) -> None:
    check = health(wire).Check
    for name in ("", *OURS):
        answer: HealthCheckResponse = await check(HealthCheckRequest(service=name))
        assert answer.status == SERVING
    assert (await over_grpc(check(HealthCheckRequest(service="none")))).code == "NOT_FOUND"


async def test_a_message_that_is_too_large_is_refused_and_the_next_is_taken(
    database: Database,
) -> None:
    async with channel(door(database, limits=replace(LIMITS, message=10_000))) as wire:
        tes = TaskServiceStub(wire)
        large = pb.Task(executors=[STEP], description="x" * 10_000)
        refused = await over_grpc(tes.CreateTask(large))
        assert refused.code == "RESOURCE_EXHAUSTED"
        assert "larger than max" in refused.text
        assert (await over_grpc(tes.CreateTask(pb.Task(executors=[STEP])))).code == "OK"


async def test_who_does_not_wait_any_longer_is_not_worked_for() -> None:
    metrics = Metrics()
    async with channel(door(stuck(), metrics)) as wire:
        tes = TaskServiceStub(wire)
        late = await over_grpc(tes.GetTask(pb.GetTaskRequest(id="x"), timeout=0.05))
        assert late.code == "DEADLINE_EXCEEDED"
        call = tes.ListTasks(pb.ListTasksRequest())
        await asyncio.sleep(0)
        call.cancel()
        await until_counted(
            metrics, 'funnel_grpc_calls_total{code="CANCELLED",method="/tes.TaskService/GetTask"}'
        )


async def until_counted(metrics: Metrics, line: str) -> None:
    await until(lambda: line.encode() in metrics.exposition())


def without_message(wire: Channel, method: str) -> Any:
    """Headers, and then nothing."""

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    return cast("Any", wire).stream_unary(method)(never())


@pytest.mark.parametrize("method", ["/tes.TaskService/CreateTask", "/grpc.health.v1.Health/Watch"])
async def test_a_message_that_does_not_come_is_not_waited_for_long(
    database: Database, method: str
) -> None:
    async with channel(door(database, limits=replace(LIMITS, body_seconds=0.05))) as wire:
        late = await over_grpc(without_message(wire, method))
    assert (late.code, late.text) == ("DEADLINE_EXCEEDED", "the message did not arrive in time")


async def test_a_call_that_ends_without_a_message_is_refused(wire: Channel) -> None:
    stream = cast("Any", wire).stream_unary("/tes.TaskService/CreateTask")
    none = await over_grpc(stream(iter(())))
    assert (none.code, none.text) == ("INVALID_ARGUMENT", "there is no message")


class Nobody:
    """Accounts that know no one."""

    challenge = ""
    login = None

    async def identify(self, credentials: Credentials) -> Caller | None:
        del credentials


async def test_nothing_is_read_of_who_is_not_known(database: Database) -> None:
    async with channel(door(database, callers=Callers([Nobody()]))) as wire:
        refused = await over_grpc(without_message(wire, "/tes.TaskService/CreateTask"))
        assert refused.code == "UNAUTHENTICATED"
        assert (await over_grpc(health(wire).Check(HealthCheckRequest()))).code == "OK"


async def test_messages_have_a_limit_all_together(database: Database) -> None:
    async with channel(door(database, limits=replace(LIMITS, bodies=1000))) as wire:
        tes = TaskServiceStub(wire)
        large = pb.Task(executors=[STEP], description="x" * 1000)
        assert (await over_grpc(tes.CreateTask(large))).code == "RESOURCE_EXHAUSTED"
        for _ in range(50):
            assert (await over_grpc(tes.CreateTask(pb.Task(executors=[STEP])))).code == "OK"


async def test_a_call_that_finds_no_answer_in_time_is_given_up() -> None:
    async with channel(door(stuck(), limits=replace(LIMITS, answer_seconds=0.05))) as wire:
        given_up = await over_grpc(TaskServiceStub(wire).GetTask(pb.GetTaskRequest(id="x")))
    assert given_up.code == "UNAVAILABLE"


async def test_a_create_whose_caller_gives_up_makes_one_task_or_none(
    tes: "TaskServiceAsyncStub",
) -> None:
    task = pb.Task(executors=[STEP])
    keys = [(("idempotency-key", f"key {number}"),) for number in range(100)]
    for number, key in enumerate(keys):
        await over_grpc(tes.CreateTask(task, metadata=key, timeout=number * 0.0001))
    made = [(await tes.CreateTask(task, metadata=key)).id for key in keys]
    page = await tes.ListTasks(pb.ListTasksRequest(page_size=2000))
    assert sorted(one.id for one in page.tasks) == sorted(made)
    assert len(set(made)) == len(keys)


async def test_calls_have_a_limit_and_who_comes_later_is_told_to_come_again() -> None:
    async with channel(door(stuck(), limits=replace(LIMITS, calls=3))) as wire:
        tes = TaskServiceStub(wire)
        calls = [tes.GetTask(pb.GetTaskRequest(id="x")) for _ in range(4)]
        done, waiting = await asyncio.wait(
            [asyncio.ensure_future(over_grpc(one)) for one in calls],
            return_when=asyncio.FIRST_COMPLETED,
        )
        (refused,) = (one.result() for one in done)
        assert refused.code == "RESOURCE_EXHAUSTED"
        for one in calls:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await until_found(tes)


async def test_who_need_not_be_known_takes_no_place_of_others(database: Database) -> None:
    limits = replace(LIMITS, calls=10, strangers=2)
    async with channel(door(database, limits=limits)) as wire:
        watching = [health(wire).Watch(HealthCheckRequest()) for _ in range(2)]
        for one in watching:
            assert (await one.read()).status == SERVING
        for _ in range(20):
            refused = await over_grpc(health(wire).Watch(HealthCheckRequest()).read())
            assert refused.code == "RESOURCE_EXHAUSTED"
        tes = TaskServiceStub(wire)
        assert (await over_grpc(tes.ListTasks(pb.ListTasksRequest()))).code == "OK"
        for one in watching:
            one.cancel()
        async with asyncio.timeout(10):
            while (await over_grpc(health(wire).Check(HealthCheckRequest()))).code != "OK":
                pass


async def until_found(tes: "TaskServiceAsyncStub") -> None:
    """A place is free again once a call has gone."""
    async with asyncio.timeout(10):
        while True:
            again = await over_grpc(tes.GetTask(pb.GetTaskRequest(id="x"), timeout=0.05))
            if again.code == "DEADLINE_EXCEEDED":
                return


async def test_calls_are_counted_by_method_and_code(database: Database) -> None:
    metrics = Metrics()
    async with channel(door(database, metrics)) as wire:
        tes = TaskServiceStub(wire)
        await tes.ListTasks(pb.ListTasksRequest())
        await over_grpc(tes.GetTask(pb.GetTaskRequest(id="none")))
    page = metrics.exposition().decode()
    for method, code in (("ListTasks", "OK"), ("GetTask", "NOT_FOUND")):
        labels = f'code="{code}",method="/tes.TaskService/{method}"'
        assert f"funnel_grpc_calls_total{{{labels}}} 1.0" in page
        took = f'funnel_grpc_call_seconds_count{{method="/tes.TaskService/{method}"}} 1.0'
        assert took in page


async def test_a_mistake_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with channel(door(failing(RuntimeError("password in /etc/secret")))) as wire:
        broken = await over_grpc(TaskServiceStub(wire).ListTasks(pb.ListTasksRequest()))
    assert broken.code == "INTERNAL"
    assert broken.text.startswith("internal error: the server's log has more under request ")
    assert broken.text.split()[-1] in caplog.text
    assert "password in /etc/secret" in caplog.text


async def test_a_text_of_any_length_is_cut_to_what_clients_take() -> None:
    async with channel(door(failing(Unavailable("ü\n" * 100_000)))) as wire:
        refused = await over_grpc(TaskServiceStub(wire).ListTasks(pb.ListTasksRequest()))
    assert refused.code == "UNAVAILABLE"
    assert refused.text.startswith("ü\nü\n")
    assert refused.text.endswith(" …")


async def test_as_many_problems_are_told_as_there_is_room_for(tes: "TaskServiceAsyncStub") -> None:
    task = pb.Task(executors=[pb.Executor() for _ in range(90)])
    refused = await over_grpc(tes.CreateTask(task))
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.problems[0] == ("executors[0].image", "required, but empty")
    assert 10 < len(refused.problems) < 180


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7


def frame(kind: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3) + bytes([kind, 0, 0, 0, 0, 0]) + body


async def pinged(port: int, times: int) -> bytes:
    """What the server says when it hangs up, after so many pings at once and no call."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + frame(SETTINGS))
    for number in range(times):
        writer.write(frame(PING, number.to_bytes(8)))
        while True:
            head = await reader.readexactly(9)
            body = await reader.readexactly(int.from_bytes(head[:3]))
            if head[3] == GOAWAY:
                writer.close()
                return body[8:]
            if head[3] == PING and head[4] == 1 and int.from_bytes(body) == number:
                break
    writer.close()
    return b""


@pytest.mark.parametrize(("seconds", "said"), [(0, b""), (10, b"too_many_pings")])
async def test_who_pings_without_calls_is_sent_away_only_when_it_is_too_often(
    database: Database, seconds: float, said: bytes
) -> None:
    opened = door(database, limits=replace(LIMITS, ping_seconds=seconds))
    port = opened.listen("127.0.0.1", 0)
    async with alongside(opened.serve()), asyncio.timeout(10):
        assert await pinged(port, 20) == said


@pytest.mark.parametrize("sent", [b"\0" * 100_000, b"GET / HTTP/1.1\r\n\r\n", PREFACE * 9])
async def test_what_is_no_http2_is_hung_up_on_and_harms_nobody(
    database: Database, sent: bytes
) -> None:
    opened = door(database)
    port = opened.listen("127.0.0.1", 0)
    async with alongside(opened.serve()), insecure_channel(f"127.0.0.1:{port}") as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                await reader.read()
        writer.close()
        assert (await over_grpc(health(wire).Check(HealthCheckRequest()))).code == "OK"


async def test_a_port_that_is_taken_is_said(database: Database) -> None:
    first = door(database)
    port = first.listen("127.0.0.1", 0)
    async with alongside(first.serve()):
        with pytest.raises(Unavailable, match=r"Address already in use.*Server\.RPCPort"):
            door(database).listen("127.0.0.1", port)


@pytest.mark.parametrize("turns", range(6))
async def test_who_ends_it_in_the_moment_of_its_start_ends_it(
    database: Database, turns: int
) -> None:
    first = door(database)
    port = first.listen("127.0.0.1", 0)
    async with alongside(first.serve()):
        for _ in range(turns):
            await asyncio.sleep(0)
    if turns:
        door(database).listen("127.0.0.1", port)


# S104: that a door listens at all addresses is what is tested.
@pytest.mark.parametrize("host", ["localhost", "", "0.0.0.0", "127.0.0.1", "::1"])  # noqa: S104
async def test_all_addresses_of_a_host_have_one_port(database: Database, host: str) -> None:
    opened = door(database)
    port = opened.listen(host, 0)
    reached = "[::1]" if host == "::1" else "127.0.0.1"
    async with alongside(opened.serve()), insecure_channel(f"{reached}:{port}") as wire:
        assert (await over_grpc(health(wire).Check(HealthCheckRequest()))).code == "OK"


class Gate:
    """A database whose answers wait until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    def on_commit(self, heard: object) -> None:
        """There never is one."""

    def __getattr__(self, _name: str) -> Any:
        async def answer(*_: object, **__: object) -> str:
            self.waiting += 1
            await self._open.wait()
            return "made"

        return answer


async def test_a_door_that_ends_answers_what_has_come_and_takes_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "funnel.api.grpc.door.PARTING", 3.0
    )  # On a busy machine ours is over too soon.
    gate = Gate()
    opened = door(cast("Any", gate))
    port = opened.listen("127.0.0.1", 0)
    serving = asyncio.create_task(opened.serve())
    async with insecure_channel(f"127.0.0.1:{port}") as wire:
        tes, task = TaskServiceStub(wire), pb.Task(executors=[STEP])
        watch = health(wire).Watch(HealthCheckRequest(service="tes.TaskService"))
        news = aiter(watch)
        assert (await anext(news)).status == SERVING
        calls = [asyncio.ensure_future(over_grpc(tes.CreateTask(task))) for _ in range(20)]
        await until(lambda: gate.waiting == len(calls))
        opened.stop()
        assert (await anext(news)).status == NOT_SERVING
        assert (await health(wire).Check(HealthCheckRequest())).status == NOT_SERVING
        with pytest.raises(AioRpcError, match="the server stops; come again"):
            await anext(news)
        assert (await over_grpc(tes.CreateTask(task))).code == "UNAVAILABLE"
        assert gate.waiting == len(calls)
        gate.open()
        assert {(await one).code for one in calls} == {"OK"}
    await serving
