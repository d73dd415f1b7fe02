"""Messages as bytes: what is encoded by hand is read, and what we write is the same bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from by_hand import ONE_OF, PACKAGES, encoded, sample, value_of
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc.aio import Channel
from rpc import raw_method

from funnel.wire.gen import events_pb2, scheduler_pb2, tes_pb2

FILES: dict[str, FileDescriptor] = {
    "tes": tes_pb2.DESCRIPTOR,
    "events": events_pb2.DESCRIPTOR,
    "scheduler": scheduler_pb2.DESCRIPTOR,
}
KINDS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
}
ENUMS: dict[str, dict[str, Sequence[str | None]]] = {
    "tes": {
        "State": [
            "UNKNOWN",
            "QUEUED",
            "INITIALIZING",
            "RUNNING",
            "PAUSED",
            "COMPLETE",
            "EXECUTOR_ERROR",
            "SYSTEM_ERROR",
            "CANCELED",
            "PREEMPTED",
            "CANCELING",
        ],
        "FileType": ["FILE", "DIRECTORY"],
        "view": ["MINIMAL", "BASIC", "FULL"],
    },
    "events": {
        "Type": [
            *[
                "UNKNOWN",
                "TASK_STATE",
                "TASK_START_TIME",
                "TASK_END_TIME",
                "TASK_OUTPUTS",
                "TASK_METADATA",
            ],
            *("EXECUTOR_START_TIME", "EXECUTOR_END_TIME", "EXECUTOR_EXIT_CODE", None, None),
            *("EXECUTOR_STDOUT", "EXECUTOR_STDERR", "SYSTEM_LOG", "TASK_CREATED"),
            "TASK_RESOURCES",
        ]
    },
    "scheduler": {"NodeState": ["UNINITIALIZED", "ALIVE", "DEAD", "GONE", "INITIALIZING", "DRAIN"]},
}
METHODS = {
    "tes.TaskService/CreateTask": ("tes.Task", "tes.CreateTaskResponse"),
    "tes.TaskService/GetTask": ("tes.GetTaskRequest", "tes.Task"),
    "tes.TaskService/ListTasks": ("tes.ListTasksRequest", "tes.ListTasksResponse"),
    "tes.TaskService/CancelTask": ("tes.CancelTaskRequest", "tes.CancelTaskResponse"),
    "tes.TaskService/GetServiceInfo": ("tes.GetServiceInfoRequest", "tes.ServiceInfo"),
    "events.EventService/WriteEvent": ("events.Event", "events.WriteEventResponse"),
    "scheduler.SchedulerService/PutNode": ("scheduler.Node", "scheduler.PutNodeResponse"),
    "scheduler.SchedulerService/DeleteNode": ("scheduler.Node", "scheduler.DeleteNodeResponse"),
    "scheduler.SchedulerService/ListNodes": (
        "scheduler.ListNodesRequest",
        "scheduler.ListNodesResponse",
    ),
    "scheduler.SchedulerService/GetNode": ("scheduler.GetNodeRequest", "scheduler.Node"),
}
MESSAGES = [(package, name) for package, tables in PACKAGES.items() for name in tables]


def kind(field: FieldDescriptor) -> str:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return "map"
    name = field.message_type.name if field.message_type else KINDS[field.type]
    return f"*{name}" if field.is_repeated else name


def plain(message: Message) -> dict[str, Any]:
    """Its fields that are set, as Python has them."""
    return {field.name: _plain(field, value) for field, value in message.ListFields()}


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if kind(field) == "map":
        return dict(value)
    if field.is_repeated:
        return [plain(one) if isinstance(one, Message) else one for one in value]
    return plain(value) if isinstance(value, Message) else value


@pytest.mark.parametrize("package", FILES)
def test_there_are_these_messages_with_these_fields_and_no_others(package: str) -> None:
    found = {
        name: {field.name: (field.number, kind(field)) for field in message.fields}
        for name, message in FILES[package].message_types_by_name.items()
    }
    assert found == PACKAGES[package]


@pytest.mark.parametrize("package", FILES)
def test_there_are_these_words_with_these_numbers(package: str) -> None:
    found = {
        name: dict(enum.values_by_number)
        for name, enum in FILES[package].enum_types_by_name.items()
    }
    assert {
        name: [(at, one.name) for at, one in words.items()] for name, words in found.items()
    } == {
        name: [(at, word) for at, word in enumerate(words) if word]
        for name, words in ENUMS[package].items()
    }


def test_there_are_these_methods() -> None:
    found = {
        f"{service.full_name}/{method.name}": (
            method.input_type.full_name,
            method.output_type.full_name,
        )
        for file in FILES.values()
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert found == METHODS


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(one.capitalize() for one in rest)


@pytest.mark.parametrize(("package", "name"), MESSAGES)
def test_names_in_json_are_in_camel_case(package: str, name: str) -> None:
    for field in FILES[package].message_types_by_name[name].fields:
        assert field.json_name == camel(field.name)


@pytest.mark.parametrize(("package", "name"), MESSAGES)
def test_every_field_is_read_from_bytes_and_written_as_the_same_bytes(
    package: str, name: str
) -> None:
    given = sample(package, name)
    raw = encoded(package, name, given)
    message = GetMessageClass(FILES[package].message_types_by_name[name])()
    message.ParseFromString(raw)
    assert plain(message) == given
    assert message.SerializeToString(deterministic=True) == raw


@pytest.mark.parametrize("field", ONE_OF)
def test_every_kind_of_data_of_an_event_is_read_and_written(field: str) -> None:
    given = sample("events", "Event") | {field: value_of("events", ONE_OF[field][1], 7)}
    raw = encoded("events", "Event", given)
    event = events_pb2.Event.FromString(raw)
    assert event.WhichOneof("data") == field
    assert plain(event) == given
    assert event.SerializeToString(deterministic=True) == raw


SENT: Mapping[str, Any] = {
    "name": "by hand",
    "description": "ü",
    "executors": [
        {
            "image": "alpine",
            "command": ["sh", "-c", "true"],
            "env": {"A": "1", "B": ""},
            "ignore_error": True,
            "stdin": "/in",
            "stdout": "/out",
            "stderr": "/err",
            "workdir": "/data",
        }
    ],
    "inputs": [
        {"path": "/in", "url": "file:///data/in", "type": 0, "name": "i", "description": "d"},
        {"path": "/dir", "url": "file:///data/dir", "type": 1, "streamable": True},
        {"path": "/text", "content": "text"},
    ],
    "outputs": [
        {
            "path": "/o/*.txt",
            "path_prefix": "/o",
            "url": "file:///data/o",
            "type": 0,
            "name": "o",
            "description": "d",
        },
        {"path": "/p", "url": "file:///data/p", "type": 1},
    ],
    "resources": {
        "cpu_cores": 2,
        "ram_gb": 0.5,
        "disk_gb": 1.5,
        "preemptible": True,
        "zones": ["a", "b"],
        "backend_parameters": {"VmSize": "large"},
    },
    "tags": {"k": "v", "empty": ""},
    "volumes": ["/vol"],
}


def written(given: Any) -> Any:
    """Without files' types that are the default, which proto3 does not write."""
    files = [
        [{key: value for key, value in one.items() if value != 0 or key != "type"} for one in some]
        for some in (given["inputs"], given["outputs"])
    ]
    return {**given, "inputs": files[0], "outputs": files[1]}


async def test_a_task_of_bytes_is_created_and_comes_back_as_those_bytes(wire: Channel) -> None:
    create, get = (raw_method(wire, f"/tes.TaskService/{name}Task") for name in ("Create", "Get"))
    answer = await create(encoded("tes", "Task", SENT))
    made = tes_pb2.CreateTaskResponse.FromString(answer).id
    assert answer == encoded("tes", "CreateTaskResponse", {"id": made})
    raw = await get(encoded("tes", "GetTaskRequest", {"id": made, "view": "FULL"}))
    shown: dict[str, Any] = {
        **written(SENT),
        "id": made,
        "state": 1,
        "creation_time": "2026-01-01T00:00:00Z",
        "logs": [{}],
    }
    found = tes_pb2.Task.FromString(raw)
    assert plain(found) == shown
    assert found.SerializeToString(deterministic=True) == encoded("tes", "Task", shown)


async def test_bytes_that_are_no_message_are_refused_and_harm_nobody(wire: Channel) -> None:
    create = raw_method(wire, "/tes.TaskService/CreateTask")
    whole = encoded("tes", "Task", SENT)
    for raw in (b"\xff", b"\x0a\x02\xff\xfe", b"\x1a\x7f", whole[:-1]):
        call = create(raw)
        code = await call.code()
        assert code.name == "INVALID_ARGUMENT"
        assert "/tes.TaskService/CreateTask" in await call.details()
    assert await create(whole)
