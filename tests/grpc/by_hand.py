"""Protobuf by hand: messages as bytes, from tables of their fields and nothing of ours."""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Table: TypeAlias = Mapping[str, tuple[int, str]]
"""Of each field its number and type; `*` before a type says that it is repeated."""

_TASK: Final = {
    "creation_time": (1, "string"),
    "description": (2, "string"),
    "executors": (3, "*Executor"),
    "id": (4, "string"),
    "inputs": (5, "*Input"),
    "logs": (6, "*TaskLog"),
    "name": (7, "string"),
    "outputs": (8, "*Output"),
    "resources": (9, "Resources"),
    "state": (10, "enum"),
    "tags": (11, "map"),
    "volumes": (12, "*string"),
}
_BASIC: Final = {
    "executors": (3, "*ExecutorBasic"),
    "inputs": (5, "*InputBasic"),
    "logs": (6, "*TaskLogBasic"),
}
_EXECUTOR: Final = {
    "command": (1, "*string"),
    "env": (2, "map"),
    "ignore_error": (3, "bool"),
    "image": (4, "string"),
    "stderr": (5, "string"),
    "stdin": (6, "string"),
    "stdout": (7, "string"),
    "workdir": (8, "string"),
}
_INPUT: Final = {
    "content": (1, "string"),
    "description": (2, "string"),
    "name": (3, "string"),
    "path": (4, "string"),
    "streamable": (5, "bool"),
    "type": (6, "enum"),
    "url": (7, "string"),
}
_TASK_LOG: Final = {
    "end_time": (1, "string"),
    "logs": (2, "*ExecutorLog"),
    "metadata": (3, "map"),
    "outputs": (4, "*OutputFileLog"),
    "start_time": (5, "string"),
    "system_logs": (6, "*string"),
}

TES: Final[Mapping[str, Table]] = {
    "CancelTaskRequest": {"id": (1, "string")},
    "CancelTaskResponse": {},
    "CreateTaskResponse": {"id": (1, "string")},
    "GetServiceInfoRequest": {},
    "GetTaskRequest": {"id": (1, "string"), "view": (2, "string")},
    "ListTasksRequest": {
        "name_prefix": (1, "string"),
        "state": (2, "enum"),
        "tag_key": (3, "*string"),
        "tag_value": (4, "*string"),
        "page_size": (5, "int32"),
        "page_token": (6, "string"),
        "view": (7, "string"),
    },
    "ListTasksResponse": {"next_page_token": (1, "string"), "tasks": (2, "*Task")},
    "ListTasksResponseBasic": {"next_page_token": (1, "string"), "tasks": (2, "*TaskBasic")},
    "ListTasksResponseMin": {"next_page_token": (1, "string"), "tasks": (2, "*TaskMin")},
    "Task": _TASK,
    "TaskMin": _TASK,
    "TaskBasic": _TASK | _BASIC,
    "Executor": _EXECUTOR,
    "ExecutorBasic": _EXECUTOR,
    "ExecutorLog": {
        "end_time": (1, "string"),
        "exit_code": (2, "int32"),
        "start_time": (3, "string"),
        "stderr": (4, "string"),
        "stdout": (5, "string"),
    },
    "Input": _INPUT,
    "InputBasic": _INPUT,
    "Output": {
        "description": (1, "string"),
        "name": (2, "string"),
        "path": (3, "string"),
        "path_prefix": (4, "string"),
        "type": (5, "enum"),
        "url": (6, "string"),
    },
    "OutputFileLog": {"path": (1, "string"), "size_bytes": (2, "string"), "url": (3, "string")},
    "Resources": {
        "backend_parameters": (1, "map"),
        "backend_parameters_strict": (2, "bool"),
        "cpu_cores": (3, "int32"),
        "disk_gb": (4, "double"),
        "preemptible": (5, "bool"),
        "ram_gb": (6, "double"),
        "zones": (7, "*string"),
    },
    "ServiceInfo": {
        "contactUrl": (1, "string"),
        "createdAt": (2, "string"),
        "description": (3, "string"),
        "documentationUrl": (4, "string"),
        "environment": (5, "string"),
        "id": (6, "string"),
        "name": (7, "string"),
        "organization": (8, "map"),
        "storage": (9, "*string"),
        "tesResources_backend_parameters": (10, "*string"),
        "type": (11, "ServiceType"),
        "updatedAt": (12, "string"),
        "version": (13, "string"),
    },
    "ServiceType": {"artifact": (1, "string"), "group": (2, "string"), "version": (3, "string")},
    "TaskLog": _TASK_LOG,
    "TaskLogBasic": _TASK_LOG,
}

EVENT: Final[Table] = {
    "id": (1, "string"),
    "timestamp": (2, "string"),
    "attempt": (16, "uint32"),
    "index": (17, "uint32"),
    "type": (18, "enum"),
}
ONE_OF: Final[Table] = {
    "state": (3, "enum"),
    "start_time": (4, "string"),
    "end_time": (5, "string"),
    "outputs": (6, "Outputs"),
    "metadata": (7, "Metadata"),
    "exit_code": (10, "int32"),
    "stdout": (13, "string"),
    "stderr": (14, "string"),
    "system_log": (15, "SystemLog"),
    "task": (19, "Task"),
    "resources": (20, "Resources"),
}
"""Of these an event has one."""

EVENTS: Final[Mapping[str, Table]] = {
    "Event": EVENT | ONE_OF,
    "Metadata": {"value": (1, "map")},
    "Outputs": {"value": (1, "*OutputFileLog")},
    "SystemLog": {"msg": (1, "string"), "level": (2, "string"), "fields": (3, "map")},
    "Resources": {
        "cpu_cores": (1, "int32"),
        "ram_gb": (2, "double"),
        "disk_gb": (3, "double"),
        "preemptible": (4, "bool"),
        "backend_parameters": (5, "map"),
        "zones": (6, "*string"),
    },
    "WriteEventResponse": {},
}

SCHEDULER: Final[Mapping[str, Table]] = {
    "Resources": {"cpus": (1, "uint32"), "ram_gb": (2, "double"), "disk_gb": (3, "double")},
    "Node": {
        "id": (1, "string"),
        "resources": (5, "Resources"),
        "available": (6, "Resources"),
        "state": (8, "enum"),
        "preemptible": (9, "bool"),
        "zone": (11, "string"),
        "hostname": (13, "string"),
        "version": (14, "int64"),
        "metadata": (15, "map"),
        "task_ids": (16, "*string"),
        "last_ping": (17, "int64"),
    },
    "GetNodeRequest": {"id": (1, "string")},
    "ListNodesRequest": {},
    "ListNodesResponse": {"nodes": (1, "*Node")},
    "PutNodeResponse": {},
    "DeleteNodeResponse": {},
}

PACKAGES: Final = {"tes": TES, "events": EVENTS, "scheduler": SCHEDULER}


def package_of(kind: str, seen_from: str) -> str:
    """Events speak of messages of TES, too."""
    return seen_from if kind in PACKAGES[seen_from] else "tes"


def encoded(package: str, message: str, values: Mapping[str, Any]) -> bytes:
    """Fields in the order of their numbers, as protobuf writes them."""
    table = PACKAGES[package][message]
    names = sorted(values, key=lambda name: table[name][0])
    return b"".join(
        piece for name in names for piece in _field(package, *table[name], values[name])
    )


def _field(package: str, number: int, kind: str, value: Any) -> Iterator[bytes]:
    if kind.startswith("*"):
        for one in value:
            yield from _field(package, number, kind[1:], one)
    elif kind == "map":
        for key in sorted(value):
            pair = _text(1, key) + _text(2, value[key])
            yield _varint(number << 3 | 2) + _varint(len(pair)) + pair
    elif kind == "string":
        yield _text(number, value)
    elif kind == "double":
        yield _varint(number << 3 | 1) + struct.pack("<d", value)
    elif kind in {"bool", "enum", "int32", "int64", "uint32"}:
        yield _varint(number << 3) + _varint(int(value))
    else:
        inner = encoded(package_of(kind, package), kind, value)
        yield _varint(number << 3 | 2) + _varint(len(inner)) + inner


def _text(number: int, text: str) -> bytes:
    raw = text.encode()
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers have 64 bits."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def sample(package: str, message: str, salt: int = 1) -> dict[str, Any]:
    """A value that is not the default for each field, all different; of an event's data, none."""
    table = EVENT if message == "Event" else PACKAGES[package][message]
    return {
        name: value_of(package, kind, salt * 32 + number) for name, (number, kind) in table.items()
    }


def value_of(package: str, kind: str, salt: int) -> Any:
    if kind.startswith("*"):
        return [value_of(package, kind[1:], salt * 2), value_of(package, kind[1:], salt * 2 + 1)]
    simple = {
        "string": f"text {salt} é",
        "map": {f"key {salt}": f"value {salt}", "a": "", "b": "ü"},
        "double": salt + 0.1,
        "bool": True,
        "enum": 1,
        "int32": -salt,
        "int64": -(2**40) - salt,
        "uint32": 2**31 + salt,
    }
    if kind in simple:
        return simple[kind]
    return sample(package_of(kind, package), kind, salt % 1000)
