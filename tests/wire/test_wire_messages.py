"""What is sent is read by the message definitions of the reference's protocol."""

import pytest
from google.protobuf import json_format

from funnel.core.event import (
    Event,
    ExecutorExited,
    ExecutorStarted,
    Level,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    Recorded,
    TimeTold,
)
from funnel.core.message import messages
from funnel.core.state import State
from funnel.core.task import (
    Executor,
    FileType,
    Input,
    Output,
    OutputFileLog,
    Resources,
    TaskId,
)
from funnel.testing.build import EPOCH, created, moved
from funnel.wire.gen import events_pb2
from funnel.wire.message import encode, indent

ID = TaskId("t1")
FULL = created(
    name="n",
    description="d",
    executors=(
        Executor(
            image="i",
            command=("a", "b"),
            workdir="/w",
            stdin="/i",
            stdout="/o",
            stderr="/e",
            env={"SNAKE_CASE": "kept_as_it_is"},
            ignore_error=True,
        ),
    ),
    inputs=(Input(path="/in", url="file:///in", type=FileType.DIRECTORY, streamable=True),),
    outputs=(Output(path="/out/*", url="file:///out", path_prefix="/out"),),
    resources=Resources(
        cpu_cores=2,
        ram_gb=1.5,
        disk_gb=3,
        preemptible=True,
        zones=("z",),
        backend_parameters={"max_attempts": "2"},
    ),
    volumes=("/v",),
    tags={"snake_case": "x", "ünï": "\x00\n"},
)
FILE = OutputFileLog(url="file:///out", path="/out", size_bytes="12")


def sent(event: Event) -> list[bytes]:
    return [encode(one.message) for one in messages(Recorded(1, 1, event), 2)]


def read(line: bytes) -> events_pb2.Event:
    """Raises for every name and type that the protocol has not."""
    return json_format.Parse(line, events_pb2.Event())


@pytest.mark.parametrize(
    "event",
    [
        FULL,
        moved(ID, State.INITIALIZING),
        moved(ID, State.EXECUTOR_ERROR),
        ExecutorStarted(ID, EPOCH, 1),
        ExecutorExited(ID, EPOCH, 1, 0),
        ExecutorExited(ID, EPOCH, 0, 137),
        TimeTold(ID, EPOCH, Moment.EXECUTOR_ENDED, 1),
        OutputsStored(ID, EPOCH, (FILE, FILE)),
        OutputsStored(ID, EPOCH, ()),
        MetadataAdded(ID, EPOCH, {"host_name": "h"}),
        Logged(ID, EPOCH, "download failed", Level.WARNING, {"a_b": "'\n"}, 2),
    ],
)
def test_the_protocol_reads_what_is_sent(event: Event) -> None:
    for line in sent(event):
        assert b"\n" not in line
        told = read(line)
        assert told.WhichOneof("data")
        assert (told.id, told.attempt) == (event.task_id, 1)
        assert told.timestamp == "2026-01-01T00:00:00Z"
        again = json_format.MessageToDict(told)
        assert again == json_format.MessageToDict(read(indent(line)))


def test_an_exit_code_of_zero_is_sent() -> None:
    _, code = sent(ExecutorExited(ID, EPOCH, 0, 0))
    assert b'"exitCode":0' in code
    assert read(code).HasField("exit_code")


def test_a_task_arrives_whole() -> None:
    (line,) = sent(FULL)
    task = read(line).task
    (executor,), (given,), (out,) = task.executors, task.inputs, task.outputs
    assert dict(executor.env) == {"SNAKE_CASE": "kept_as_it_is"}
    assert (executor.ignore_error, given.streamable, out.path_prefix) == (True, True, "/out")
    assert (task.resources.cpu_cores, task.resources.ram_gb) == (2, 1.5)
    assert dict(task.resources.backend_parameters) == {"max_attempts": "2"}
    assert dict(task.tags) == {"snake_case": "x", "ünï": "\x00\n"}
    assert (task.id, task.creation_time) == (FULL.task_id, "2026-01-01T00:00:00Z")


def test_it_is_indented_as_the_reference_does() -> None:
    _, line = sent(ExecutorExited(ID, EPOCH, 0, 3))
    assert indent(line).decode().split("\n") == [
        "{",
        '\t"id": "t1",',
        '\t"timestamp": "2026-01-01T00:00:00Z",',
        '\t"exitCode": 3,',
        '\t"attempt": 1,',
        '\t"type": "EXECUTOR_EXIT_CODE"',
        "}",
    ]
    (nested,) = sent(OutputsStored(ID, EPOCH, (FILE,)))
    assert '\n\t\t"value": [\n\t\t\t{\n\t\t\t\t"url":' in indent(nested).decode()
