"""`WriteEvent`: what the reference's own workers tell, as they tell it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from grpc.aio import Channel
from rpc import over_grpc

from funnel.ports import Database
from funnel.wire.gen import events_pb2 as pb
from funnel.wire.gen import tes_pb2
from funnel.wire.gen.events_pb2_grpc import EventServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.events_pb2_grpc import EventServiceAsyncStub
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub

AT = "2026-01-01T01:00:0{}.5+01:00"


class Writer:
    """Says things about one task, one second after the other."""

    def __init__(self, events: "EventServiceAsyncStub", tes: "TaskServiceAsyncStub") -> None:
        self.events = events
        self.tes = tes
        self.task_id = ""
        self._second = 0
        self._last = pb.Event()

    async def say(self, kind: str, *, attempt: int = 0, **data: Any) -> str:
        """The code that it is answered with."""
        self._second = min(self._second + 1, 9)
        self._last = pb.Event(
            id=self.task_id,
            timestamp=AT.format(self._second),
            type=pb.Type.Value(kind),
            attempt=attempt,
            index=data.pop("index", 0),
            **data,
        )
        return await self.say_again()

    async def say_again(self) -> str:
        return (await over_grpc(self.events.WriteEvent(self._last))).code

    async def task(self) -> tes_pb2.Task:
        return await self.tes.GetTask(tes_pb2.GetTaskRequest(id=self.task_id, view="FULL"))

    async def log(self) -> tes_pb2.TaskLog:
        return (await self.task()).logs[-1]


@pytest.fixture
async def writer(wire: Channel, tes: "TaskServiceAsyncStub") -> Writer:
    made = Writer(EventServiceStub(wire), tes)
    step = tes_pb2.Executor(image="alpine", command=["true"])
    made.task_id = (await tes.CreateTask(tes_pb2.Task(executors=[step]))).id
    return made


def life() -> Iterator[tuple[str, dict[str, Any]]]:
    """All that a worker of the reference says of a task that goes well, in its order."""
    yield "SYSTEM_LOG", {"system_log": pb.SystemLog(msg="Version", level="info")}
    yield "TASK_STATE", {"state": "INITIALIZING"}
    yield "TASK_START_TIME", {"start_time": AT.format(2)}
    yield "TASK_METADATA", {"metadata": pb.Metadata(value={"hostname": "node1"})}
    yield "TASK_STATE", {"state": "RUNNING"}
    yield "EXECUTOR_START_TIME", {"start_time": AT.format(5)}
    yield "EXECUTOR_STDOUT", {"stdout": "hello\n"}
    yield "EXECUTOR_END_TIME", {"end_time": AT.format(6)}
    yield "EXECUTOR_EXIT_CODE", {"exit_code": 0}
    stored = tes_pb2.OutputFileLog(url="file:///o", path="/o", size_bytes="3")
    yield "TASK_OUTPUTS", {"outputs": pb.Outputs(value=[stored])}
    yield "TASK_END_TIME", {"end_time": AT.format(7)}
    yield "TASK_STATE", {"state": "COMPLETE"}


async def test_the_whole_life_of_a_task_is_told_and_shown(writer: Writer) -> None:
    for kind, data in life():
        assert await writer.say(kind, **data) == "OK", kind
    task = await writer.task()
    (log,) = task.logs
    assert task.state == tes_pb2.COMPLETE
    assert log.metadata == {"hostname": "node1"}
    assert log.start_time == "2026-01-01T00:00:02.500000Z"
    assert log.end_time == "2026-01-01T00:00:07.500000Z"
    assert [one.url for one in log.outputs] == ["file:///o"]
    (step,) = log.logs
    assert (step.exit_code, step.stdout, step.stderr) == (0, "hello\n", "")
    assert step.start_time == "2026-01-01T00:00:05.500000Z"
    assert step.end_time == "2026-01-01T00:00:06.500000Z"
    assert "level='info' msg='Version'" in log.system_logs[0]
    assert "task_attempt='0' executor_index='0'" in log.system_logs[0]


async def test_what_is_told_twice_counts_once(writer: Writer, database: Database) -> None:
    for kind, data in life():
        if kind == "SYSTEM_LOG":
            continue
        assert await writer.say(kind, **data) == "OK"
        before = (await writer.task(), await database.newest())
        assert await writer.say_again() == "OK", kind
        assert (await writer.task(), await database.newest()) == before


async def test_a_worker_of_a_task_that_was_canceled_ends_in_peace(writer: Writer) -> None:
    """It tells when its executor has ended, and there is no exit code."""
    await writer.say("TASK_STATE", state="RUNNING")
    await writer.say("EXECUTOR_START_TIME", start_time=AT.format(1))
    await writer.say("TASK_STATE", state="CANCELED")
    before = await writer.task()
    assert await writer.say("EXECUTOR_END_TIME", end_time=AT.format(4)) == "OK"
    assert await writer.say("TASK_END_TIME", end_time=AT.format(5)) == "OK"
    assert await writer.task() == before


async def test_a_time_that_is_told_later_is_shown(writer: Writer) -> None:
    await writer.say("TASK_STATE", state="RUNNING")
    await writer.say("EXECUTOR_EXIT_CODE", exit_code=3)
    assert await writer.say("EXECUTOR_END_TIME", end_time=AT.format(1)) == "OK"
    assert await writer.say("TASK_START_TIME", start_time=AT.format(0)) == "OK"
    log = await writer.log()
    assert log.start_time == "2026-01-01T00:00:00.500000Z"
    assert log.logs[0].end_time == "2026-01-01T00:00:01.500000Z"
    assert await writer.say("TASK_END_TIME", end_time="soon") == "INVALID_ARGUMENT"


async def test_a_log_that_is_told_twice_is_kept_twice(writer: Writer) -> None:
    """As the reference does it: each is told for itself, and two may be alike."""
    await writer.say("SYSTEM_LOG", system_log=pb.SystemLog(msg="hello", level="info"))
    assert await writer.say_again() == "OK"
    assert len((await writer.log()).system_logs) == 2


@pytest.mark.parametrize(
    ("tails", "whole"),
    [
        (["a\n", "a\nb\n", "a\nb\nc\n"], "a\nb\nc\n"),
        (["abcdef", "cdefgh", "efghij"], "efghij"),
        (["abc", "xyz"], "xyz"),
        (["aaa", "aaaa"], "aaaa"),
        (["", "a", ""], "a"),
        (["häß", "äßlich"], "äßlich"),
    ],
)
async def test_the_newest_tail_of_an_output_stands_for_the_older(
    writer: Writer, tails: list[str], whole: str
) -> None:
    await writer.say("TASK_STATE", state="RUNNING")
    await writer.say("EXECUTOR_START_TIME", start_time=AT.format(1))
    for tail in tails:
        assert await writer.say("EXECUTOR_STDERR", stderr=tail) == "OK"
    assert (await writer.log()).logs[0].stderr == whole
    await writer.say("TASK_STATE", state="COMPLETE")
    assert (await writer.log()).logs[0].stderr == whole


async def test_the_outputs_of_executors_and_streams_are_kept_apart(writer: Writer) -> None:
    await writer.say("TASK_STATE", state="RUNNING")
    for index in (0, 1):
        await writer.say("EXECUTOR_START_TIME", start_time=AT.format(1), index=index)
        await writer.say("EXECUTOR_STDOUT", stdout=f"out {index}", index=index)
        await writer.say("EXECUTOR_STDERR", stderr=f"err {index}", index=index)
    logs = (await writer.log()).logs
    assert [(one.stdout, one.stderr) for one in logs] == [("out 0", "err 0"), ("out 1", "err 1")]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("RUNNING", "INITIALIZING", "FAILED_PRECONDITION"),
        ("COMPLETE", "RUNNING", "FAILED_PRECONDITION"),
        ("COMPLETE", "CANCELED", "FAILED_PRECONDITION"),
        ("CANCELED", "CANCELED", "OK"),
        ("RUNNING", "RUNNING", "OK"),
        ("RUNNING", "PAUSED", "FAILED_PRECONDITION"),
        ("RUNNING", "UNKNOWN", "FAILED_PRECONDITION"),
    ],
)
async def test_only_legal_moves_are_made(
    writer: Writer, before: str, after: str, code: str
) -> None:
    assert await writer.say("TASK_STATE", state=before) == "OK"
    assert await writer.say("TASK_STATE", state=after) == code
    assert tes_pb2.State.Name((await writer.task()).state) == before


async def test_an_attempt_that_is_not_the_tasks_is_refused(writer: Writer) -> None:
    assert await writer.say("TASK_STATE", state="RUNNING", attempt=1) == "ABORTED"
    assert (await writer.task()).state == tes_pb2.QUEUED


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": 9},
        {"type": 99, "state": 1},
        {"type": "TASK_STATE", "state": 42},
        {"type": "TASK_STATE", "stdout": "x"},
        {"type": "EXECUTOR_START_TIME", "start_time": "yesterday"},
        {"type": "EXECUTOR_EXIT_CODE", "exit_code": 0, "timestamp": ""},
        {"type": "EXECUTOR_EXIT_CODE", "exit_code": 0, "index": 2**31},
        {"type": "SYSTEM_LOG", "system_log": pb.SystemLog(msg="m", level="loud")},
        {"type": "TASK_CREATED", "task": tes_pb2.Task()},
    ],
)
async def test_what_says_nothing_is_refused(writer: Writer, event: dict[str, Any]) -> None:
    given: dict[str, Any] = {"id": writer.task_id, "timestamp": AT.format(1), **event}
    assert (await over_grpc(writer.events.WriteEvent(pb.Event(**given)))).code == "INVALID_ARGUMENT"


async def test_a_task_that_is_not_there_is_not_found(writer: Writer) -> None:
    writer.task_id = "none"
    for kind, data in life():
        assert await writer.say(kind, **data) == "NOT_FOUND"
