"""Events as the world outside is told of them: those of the Go Funnel's protocol."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from funnel.core.event import (
    Accepted,
    Created,
    Event,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    Printed,
    Recorded,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.state import State, is_final
from funnel.core.task import OutputFileLog, Task, TaskId
from funnel.core.value import Value

_Told: TypeAlias = "tuple[Type, dict[str, Any]]"


class Type(StrEnum):
    """The names of `events.Type`, of those that we send."""

    TASK_STATE = "TASK_STATE"
    TASK_START_TIME = "TASK_START_TIME"
    TASK_END_TIME = "TASK_END_TIME"
    TASK_OUTPUTS = "TASK_OUTPUTS"
    TASK_METADATA = "TASK_METADATA"
    EXECUTOR_START_TIME = "EXECUTOR_START_TIME"
    EXECUTOR_END_TIME = "EXECUTOR_END_TIME"
    EXECUTOR_EXIT_CODE = "EXECUTOR_EXIT_CODE"
    SYSTEM_LOG = "SYSTEM_LOG"
    TASK_CREATED = "TASK_CREATED"


class SystemLog(Value, kw_only=True):
    """A message `events.SystemLog`."""

    msg: str
    level: str
    fields: Mapping[str, str] = {}


class File(Value, kw_only=True, rename="camel"):
    """A message `tes.OutputFileLog`."""

    url: str
    path: str
    size_bytes: str


class Outputs(Value):
    """A message `events.Outputs`."""

    value: tuple[File, ...]


class Metadata(Value):
    """A message `events.Metadata`."""

    value: Mapping[str, str]


class Message(Value, kw_only=True, rename="camel"):
    """
    One message `events.Event`; of the fields between `timestamp` and `attempt` it has one.

    `id` is that of the task, `attempt` counts from 0, and `index` is that of the executor.
    """

    id: TaskId
    timestamp: datetime
    state: State | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    outputs: Outputs | None = None
    metadata: Metadata | None = None
    exit_code: int | None = None
    system_log: SystemLog | None = None
    task: Task | None = None
    attempt: int = 0
    index: int = 0
    type: Type


class Numbered(Value):
    """`key` is the same each time that the message is told, and no other one's."""

    key: str
    message: Message


def messages(recorded: Recorded, attempt: int) -> Iterator[Numbered]:
    """
    What is told of an event about an attempt, 1 the first; nothing, of some.

    >>> from funnel.core.event import EARLIEST
    >>> gone = StateChanged(TaskId("t1"), EARLIEST, State.CANCELED)
    >>> [(one.key, one.message.type.value) for one in messages(Recorded(7, 2, gone), 1)]
    [('t1-2-0', 'TASK_END_TIME'), ('t1-2-1', 'TASK_STATE')]
    """
    event = recorded.event
    for part, (kind, given) in enumerate(_TOLD[type(event)](event)):
        yield Numbered(
            f"{event.task_id}-{recorded.seq}-{part}",
            Message(id=event.task_id, timestamp=event.at, attempt=attempt - 1, type=kind, **given),
        )


def _outputs(outputs: Sequence[OutputFileLog]) -> Outputs:
    return Outputs(
        tuple(File(url=one.url, path=one.path, size_bytes=one.size_bytes) for one in outputs)
    )


def _task(created: Created) -> Task:
    spec = created.spec
    return Task(
        name=spec.name,
        description=spec.description,
        executors=spec.executors,
        inputs=spec.inputs,
        outputs=spec.outputs,
        resources=spec.resources,
        volumes=spec.volumes,
        tags=spec.tags,
        id=created.task_id,
        state=State.QUEUED,
        creation_time=created.at,
    )


def _moved(event: StateChanged) -> Iterator[_Told]:
    if is_final(event.state):
        yield Type.TASK_END_TIME, {"end_time": event.at}
    yield Type.TASK_STATE, {"state": event.state}
    if event.state is State.INITIALIZING:
        yield Type.TASK_START_TIME, {"start_time": event.at}


def _exited(event: ExecutorExited) -> Iterator[_Told]:
    yield Type.EXECUTOR_END_TIME, {"end_time": event.at, "index": event.index}
    yield Type.EXECUTOR_EXIT_CODE, {"exit_code": event.code, "index": event.index}


_TIMES: Final = {
    Moment.TASK_STARTED: (Type.TASK_START_TIME, "start_time"),
    Moment.TASK_ENDED: (Type.TASK_END_TIME, "end_time"),
    Moment.EXECUTOR_ENDED: (Type.EXECUTOR_END_TIME, "end_time"),
}


def _timed(event: TimeTold) -> Iterator[_Told]:
    kind, field = _TIMES[event.moment]
    yield kind, {field: event.at, "index": event.index}


def _said(event: Logged) -> Iterator[_Told]:
    said = SystemLog(msg=event.message, level=event.level, fields=event.fields)
    yield Type.SYSTEM_LOG, {"system_log": said, "index": event.index}


_TOLD: Final[Mapping[type[Event], Callable[[Any], Iterable[_Told]]]] = {
    Created: lambda event: [(Type.TASK_CREATED, {"task": _task(event)})],
    Requeued: lambda _event: [(Type.TASK_STATE, {"state": State.QUEUED})],
    Accepted: lambda _event: [],
    StateChanged: _moved,
    ExecutorStarted: lambda event: [
        (Type.EXECUTOR_START_TIME, {"start_time": event.at, "index": event.index})
    ],
    ExecutorExited: _exited,
    TimeTold: _timed,
    OutputsStored: lambda event: [(Type.TASK_OUTPUTS, {"outputs": _outputs(event.outputs)})],
    MetadataAdded: lambda event: [(Type.TASK_METADATA, {"metadata": Metadata(event.metadata)})],
    Logged: _said,
    Printed: lambda _event: [],
}
