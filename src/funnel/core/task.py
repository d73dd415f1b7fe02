"""A task and its parts, named as in TES 1.1 (`tesTask` and below)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NewType

from msgspec import field

from funnel.core.state import State
from funnel.core.value import Value

TaskId = NewType("TaskId", str)


class FileType(StrEnum):
    FILE = "FILE"
    DIRECTORY = "DIRECTORY"


def _file() -> FileType:
    """As a factory, so that `type` is always written: TES 1.0 requires it in answers."""
    return FileType.FILE


class Executor(Value, kw_only=True):
    """One container; paths are absolute and inside it."""

    image: str
    command: tuple[str, ...]
    workdir: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    env: Mapping[str, str] = {}
    ignore_error: bool = False


class Input(Value, kw_only=True):
    """A file to bring: from `url`, or `content` itself."""

    path: str
    url: str = ""
    content: str = ""
    type: FileType = field(default_factory=_file)
    name: str = ""
    description: str = ""
    streamable: bool = False


class Output(Value, kw_only=True):
    """A file to store at `url`; with wildcards in `path`, what follows `path_prefix` is added."""

    path: str
    url: str
    path_prefix: str = ""
    type: FileType = field(default_factory=_file)
    name: str = ""
    description: str = ""


class Resources(Value, kw_only=True):
    """What a task asks for. Sizes in GB (10^9 bytes); 0 leaves the choice to the backend."""

    cpu_cores: int = 0
    ram_gb: float = 0.0
    disk_gb: float = 0.0
    preemptible: bool = False
    zones: tuple[str, ...] = ()
    backend_parameters: Mapping[str, str] = {}
    backend_parameters_strict: bool = False


class Spec(Value, kw_only=True):
    """What the user asked for. It never changes."""

    name: str = ""
    description: str = ""
    executors: tuple[Executor, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    resources: Resources = Resources()
    volumes: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}


class ExecutorLog(Value, kw_only=True):
    """What one container did; `exit_code` is None until it is known."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""


class OutputFileLog(Value, kw_only=True):
    """One stored file. TES writes `size_bytes` as a string, since JSON has no 64-bit integers."""

    url: str
    path: str
    size_bytes: str


def _none() -> tuple[()]:
    """As a factory, so that it is always written: TES requires it, and other servers omit it."""
    return ()


class TaskLog(Value, kw_only=True):
    """What one attempt did."""

    logs: tuple[ExecutorLog, ...] = field(default_factory=_none)
    outputs: tuple[OutputFileLog, ...] = field(default_factory=_none)
    metadata: Mapping[str, str] = {}
    system_logs: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None


class Task(Spec, kw_only=True):
    """A task as TES shows it: the spec, and how far it has come."""

    id: TaskId
    state: State
    logs: tuple[TaskLog, ...] = ()
    creation_time: datetime | None = None
