"""The reference's events, in the words of `core`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from funnel.core.container import Stream
from funnel.core.error import Invalid, Problem
from funnel.core.event import (
    Change,
    ExecutorExited,
    ExecutorStarted,
    Level,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    StateChanged,
    TimeTold,
)
from funnel.core.state import State
from funnel.core.task import OutputFileLog, TaskId
from funnel.core.told import Tail, Told
from funnel.wire.gen import events_pb2 as pb
from funnel.wire.gen import tes_pb2

What: TypeAlias = Change | Tail | None

MOST_EXECUTORS: Final = 100
LEVELS: Final = {"": Level.INFO, "warn": Level.WARNING} | {one.value: one for one in Level}


def read_event(event: pb.Event) -> Told:
    """Raises `Invalid` for what says nothing, or not what its type says."""
    kind = _KINDS.get(event.type)
    if kind is None:
        raise _invalid("type", f"{event.type} is no type of event")
    field, read = kind
    if event.WhichOneof("data") not in {field, None}:
        raise _invalid("data", f"{pb.Type.Name(event.type)} says {field}, not something else")
    if event.index >= MOST_EXECUTORS:
        raise _invalid("index", f"a task has at most {MOST_EXECUTORS} executors")
    at = _time("timestamp", event.timestamp)
    return Told(task_id=TaskId(event.id), attempt=event.attempt, at=at, what=read(event, at))


def _state(event: pb.Event, at: datetime) -> What:
    if event.state not in tes_pb2.State.values():
        raise _invalid("state", f"{event.state} is no state")
    return StateChanged(TaskId(event.id), at, State(tes_pb2.State.Name(event.state)))


def _outputs(event: pb.Event, at: datetime) -> What:
    files = tuple(
        OutputFileLog(url=one.url, path=one.path, size_bytes=one.size_bytes)
        for one in event.outputs.value
    )
    return OutputsStored(TaskId(event.id), at, files)


def _metadata(event: pb.Event, at: datetime) -> What:
    return MetadataAdded(TaskId(event.id), at, dict(sorted(event.metadata.value.items())))


def _started(event: pb.Event, _at: datetime) -> What:
    return ExecutorStarted(TaskId(event.id), _time("start_time", event.start_time), event.index)


def _exited(event: pb.Event, at: datetime) -> What:
    return ExecutorExited(TaskId(event.id), at, event.index, event.exit_code)


def _stdout(event: pb.Event, _at: datetime) -> What:
    return Tail(event.index, Stream.STDOUT, event.stdout)


def _stderr(event: pb.Event, _at: datetime) -> What:
    return Tail(event.index, Stream.STDERR, event.stderr)


def _system_log(event: pb.Event, at: datetime) -> What:
    said = event.system_log
    if said.level not in LEVELS:
        raise _invalid("system_log.level", f"expected one of {', '.join(Level)}")
    fields = dict(sorted(said.fields.items()))
    return Logged(TaskId(event.id), at, said.msg, LEVELS[said.level], fields, event.index)


def _task_started(event: pb.Event, _at: datetime) -> What:
    at = _time("start_time", event.start_time)
    return TimeTold(TaskId(event.id), at, Moment.TASK_STARTED)


def _task_ended(event: pb.Event, _at: datetime) -> What:
    return TimeTold(TaskId(event.id), _time("end_time", event.end_time), Moment.TASK_ENDED)


def _executor_ended(event: pb.Event, _at: datetime) -> What:
    at = _time("end_time", event.end_time)
    return TimeTold(TaskId(event.id), at, Moment.EXECUTOR_ENDED, event.index)


def _passed_over(_event: pb.Event, _at: datetime) -> What:
    """What a task asks for never changes."""
    return None


def _created(_event: pb.Event, _at: datetime) -> What:
    raise Invalid("tasks are created with tes.TaskService/CreateTask, not with an event")


_KINDS: Final[Mapping[int, tuple[str, Callable[[pb.Event, datetime], What]]]] = {
    pb.TASK_STATE: ("state", _state),
    pb.TASK_START_TIME: ("start_time", _task_started),
    pb.TASK_END_TIME: ("end_time", _task_ended),
    pb.TASK_OUTPUTS: ("outputs", _outputs),
    pb.TASK_METADATA: ("metadata", _metadata),
    pb.EXECUTOR_START_TIME: ("start_time", _started),
    pb.EXECUTOR_END_TIME: ("end_time", _executor_ended),
    pb.EXECUTOR_EXIT_CODE: ("exit_code", _exited),
    pb.EXECUTOR_STDOUT: ("stdout", _stdout),
    pb.EXECUTOR_STDERR: ("stderr", _stderr),
    pb.SYSTEM_LOG: ("system_log", _system_log),
    pb.TASK_CREATED: ("task", _created),
    pb.TASK_RESOURCES: ("resources", _passed_over),
}
"""The field that each type has, and what it says."""


def _time(field: str, text: str) -> datetime:
    """Of a time with nanoseconds, what `datetime` has no room for is left out."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _invalid(field, f"{text[:40]!r} is no time as in RFC 3339") from error


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"not an event: {field}: {message}", (Problem(field, message),))
