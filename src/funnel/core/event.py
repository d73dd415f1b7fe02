"""Things that happened to a task."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from funnel.core.container import Stream
from funnel.core.state import State
from funnel.core.task import OutputFileLog, Spec, TaskId
from funnel.core.value import Value

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


class Fact(Value, tag_field="kind", tag=str.lower):
    """`at` is the writer's clock: for people to read, never to decide by."""

    task_id: TaskId
    at: datetime


class Created(Fact):
    """`queue` names the backend that shall run the task."""

    spec: Spec
    owner: str
    queue: str


class Requeued(Fact):
    """
    Back to the start, as a new attempt; what the old one still says is refused.

    The new one is handed to a backend `pause` seconds later.
    """

    reason: str
    pause: float = 0.0


class Accepted(Fact):
    """The backend has taken the task, under this id of its own."""

    native_id: str


class StateChanged(Fact):
    state: State


class ExecutorStarted(Fact):
    """The start mark: kept before the container starts, so that user code never runs unmarked."""

    index: int


class ExecutorExited(Fact):
    index: int
    code: int


class Moment(StrEnum):
    """What of an attempt began or ended."""

    TASK_STARTED = "task_started"
    TASK_ENDED = "task_ended"
    EXECUTOR_ENDED = "executor_ended"


class TimeTold(Fact):
    """When it was, by a writer that says so for itself; a state and an exit have their times."""

    moment: Moment
    index: int = 0


class OutputsStored(Fact):
    outputs: tuple[OutputFileLog, ...]


class MetadataAdded(Fact):
    metadata: Mapping[str, str]


class Printed(Fact):
    """
    The next piece of an executor's output: bytes `start` to `end` of its stream.

    Kept apart from the events and never in the feed. Of each stream no more than its last
    `keep` bytes need be kept; saying the same piece again replaces it.
    """

    index: int
    stream: Stream
    start: int
    end: int
    text: str
    keep: int


class Level(StrEnum):
    """The reference's words for the severity of a system log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Logged(Fact):
    """The system has something to say. Never folded; `index` is the executor it is about."""

    message: str
    level: Level = Level.INFO
    fields: Mapping[str, str] = {}
    index: int = 0


Move: TypeAlias = Requeued | Accepted | StateChanged
Note: TypeAlias = ExecutorStarted | ExecutorExited | TimeTold | OutputsStored | MetadataAdded
Text: TypeAlias = Printed | Logged
Change: TypeAlias = Move | Note | Text
Event: TypeAlias = Created | Change


class Batch(Value, kw_only=True):
    """
    What one writer says about one task, kept together or not at all.

    `fence` is the attempt it is about; None is about the task, whatever its attempt.
    A worker numbers its events 1, 2, 3 …, and `first` is the number of `events[0]`, so
    that a batch sent twice is kept once. Who does not count, leaves it at 0.
    """

    task_id: TaskId
    events: tuple[Change, ...]
    fence: int | None = None
    first: int = 0


class Recorded(Value):
    """An event and its place: `position` among all events, `seq` among those of its task."""

    position: int
    seq: int
    event: Event
