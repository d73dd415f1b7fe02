"""
The stored form of events: JSON arrays, without names and without what repeats.

A row holds a batch: a time, its events with their times after that, and counts of the pieces of
output between them, which are kept elsewhere. The first event of a task has a row to itself: its
time and its spec. Older rows hold one event each, as an object; they are read as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct, json

from funnel.core.event import (
    Accepted,
    Change,
    Created,
    Event,
    ExecutorExited,
    ExecutorStarted,
    Fact,
    Level,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    Printed,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.state import State
from funnel.core.systemlog import Said, by_attempt
from funnel.core.task import OutputFileLog, Spec, TaskId
from funnel.core.value import Value
from funnel.wire.document import Kept

Numbered: TypeAlias = tuple[int, Event]
"""An event, and its number among those of its task."""
Files: TypeAlias = tuple[tuple[str, str, str], ...]
"""URL, path and size of each."""

LONGEST: Final = 18
"""Digits of a number that any reader of JSON takes."""
UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - UNIX) // _MICROSECOND


def moment(us: int) -> datetime:
    return UNIX + timedelta(0, 0, us)


@lru_cache(1)
def short_job(task_id: TaskId, native_id: str) -> str | int:
    """
    Only the attempt of a job that is named after its task and attempt.

    Its event and its progress ask for the same, one after the other.
    """
    attempt = native_id[len(task_id) + 1 :]
    if not attempt.isdecimal() or len(attempt) >= LONGEST:
        return native_id
    number = int(attempt)
    return number if native_id == f"{task_id}-{number}" else native_id


def job(task_id: TaskId, short: str | int) -> str:
    return short if isinstance(short, str) else f"{task_id}-{short}"


def short_files(outputs: Sequence[OutputFileLog]) -> Files:
    return tuple([(one.url, one.path, one.size_bytes) for one in outputs])


def files(packed: Files) -> tuple[OutputFileLog, ...]:
    return tuple([OutputFileLog(url=url, path=path, size_bytes=size) for url, path, size in packed])


class _Packed(Struct, array_like=True, gc=False):
    """`after` is in microseconds since the time of the row."""

    after: int


class _Accepted(_Packed, tag=0):
    job: str | int

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return Accepted(task_id, at, job(task_id, self.job))


class _StateChanged(_Packed, tag=1):
    state: State

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return StateChanged(task_id, at, self.state)


class _Told(_Packed, tag=2):
    """Something usual: of level info, about the first executor."""

    message: str
    fields: Mapping[str, str]

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return Logged(task_id, at, self.message, Level.INFO, self.fields)

    @property
    def level(self) -> Level:
        return Level.INFO

    @property
    def index(self) -> int:
        return 0


class _Logged(_Packed, tag=3):
    message: str
    level: Level
    fields: Mapping[str, str]
    index: int

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return Logged(task_id, at, self.message, self.level, self.fields, self.index)


class _MetadataAdded(_Packed, tag=4):
    metadata: Mapping[str, str]

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return MetadataAdded(task_id, at, self.metadata)


class _ExecutorStarted(_Packed, tag=5):
    index: int

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return ExecutorStarted(task_id, at, self.index)


class _ExecutorExited(_Packed, tag=6):
    index: int
    code: int

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return ExecutorExited(task_id, at, self.index, self.code)


class _OutputsStored(_Packed, tag=7):
    outputs: Files

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return OutputsStored(task_id, at, files(self.outputs))


class _Requeued(_Packed, tag=8):
    reason: str
    pause: float

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return Requeued(task_id, at, self.reason, self.pause)


class _TimeTold(_Packed, tag=9):
    moment: Moment
    index: int

    def event(self, task_id: TaskId, at: datetime) -> Change:
        return TimeTold(task_id, at, self.moment, self.index)


def _logged(after: int, event: Any) -> _Told | _Logged:
    if event.level is Level.INFO and not event.index:
        return _Told(after, event.message, event.fields)
    return _Logged(after, event.message, event.level, event.fields, event.index)


_PACKED: Final[Mapping[type[Change], Callable[[int, Any], _Packed]]] = {
    Accepted: lambda after, event: _Accepted(after, short_job(event.task_id, event.native_id)),
    StateChanged: lambda after, event: _StateChanged(after, event.state),
    Logged: _logged,
    MetadataAdded: lambda after, event: _MetadataAdded(after, event.metadata),
    ExecutorStarted: lambda after, event: _ExecutorStarted(after, event.index),
    ExecutorExited: lambda after, event: _ExecutorExited(after, event.index, event.code),
    TimeTold: lambda after, event: _TimeTold(after, event.moment, event.index),
    OutputsStored: lambda after, event: _OutputsStored(after, short_files(event.outputs)),
    Requeued: lambda after, event: _Requeued(after, event.reason, event.pause),
}
_SAID: Final = (_Told, _Logged)

_Event: TypeAlias = (
    _Accepted
    | _StateChanged
    | _Told
    | _Logged
    | _MetadataAdded
    | _ExecutorStarted
    | _ExecutorExited
    | _OutputsStored
    | _Requeued
    | _TimeTold
)
_Cell: TypeAlias = int | _Event
Body: TypeAlias = list[_Cell] | Event
"""What a row but the first of its task holds: a time, events, and counts of what is not here."""
First: TypeAlias = tuple[int, Raw] | Kept
"""What the first row has for readers."""

_ENCODE: Final = json.Encoder().encode
_BATCH: Final = json.Decoder(list[_Cell])
_EVENT: Final = json.Decoder[Event](Event)
_FIRST: Final = json.Decoder[tuple[int, Spec] | Created](tuple[int, Spec] | Created)


class Whose(Value):
    """The task that a row of events is about."""

    task_id: TaskId
    owner: str
    queue: str


class Row(Value):
    """A row to be stored: `count` events, of which the last has number `last`."""

    body: str
    last: int = 1
    count: int = 1


def pack_created(created: Created) -> Row:
    return Row(_ENCODE((micros(created.at), created.spec)).decode())


def pack_accepted(event: Accepted) -> Row:
    """As the second event of its task."""
    job = short_job(event.task_id, event.native_id)
    return Row(_ENCODE((micros(event.at), _Accepted(0, job))).decode(), 2)


def pack(first: int, events: Sequence[Change]) -> Row | None:
    """Events numbered from `first`; None where nothing but output is among them."""
    row, last, count, skipped = list[object](), first, 0, 0
    since = UNIX
    for number, event in enumerate(events, first):
        if isinstance(event, Printed):
            skipped += 1
            continue
        if not row:
            since = event.at
            row.append(micros(since))
        elif skipped:
            row.append(skipped)
        row.append(_PACKED[type(event)]((event.at - since) // _MICROSECOND, event))
        last, count, skipped = number, count + 1, 0
    return Row(_ENCODE(row).decode(), last, count) if row else None


def pack_one(number: int, event: Logged) -> Row:
    return Row(_ENCODE((micros(event.at), _logged(0, event))).decode(), number)


def read_created(whose: Whose, body: bytes) -> Created:
    first = _FIRST.decode(body)
    if isinstance(first, Created):
        return first
    at, spec = first
    return Created(whose.task_id, moment(at), spec, whose.owner, whose.queue)


def read_spec(body: bytes | str) -> Spec:
    first = _FIRST.decode(body)
    return first.spec if isinstance(first, Created) else first[1]


def kept(first: First) -> Kept:
    """
    What is copied into documents. Raises `ValueError` where that would spoil them.
    """
    if isinstance(first, tuple):
        at, spec = first
        first = Kept(Raw(_ENCODE(moment(at))), spec)
    if bytes(first.spec)[:1] != b"{" or bytes(first.at)[:1] != b'"':
        raise ValueError("a spec that is no object, or a time that is none")
    return first


def read(whose: Whose, last: int, body: bytes) -> list[Numbered]:
    """The events of a row, which `last` is the number of. Raises what `UNREADABLE` names."""
    if last == 1:
        return [(1, read_created(whose, body))]
    if body[:1] == b"{":
        return [(last, _EVENT.decode(body))]
    row = _BATCH.decode(body)
    since, cells, found = _since(row), row[1:], list[Numbered]()
    number = last + 1 - sum(one if isinstance(one, int) else 1 for one in cells)
    for one in cells:
        if isinstance(one, int):
            number += one
        else:
            at = since + timedelta(0, 0, one.after)
            found.append((number, one.event(whose.task_id, at)))
            number += 1
    return found


def system_logs(rows: Sequence[Body]) -> Mapping[int, tuple[str, ...]]:
    """What the system said by these rows, in each attempt; no event is made of what is shown."""
    return by_attempt(_said(rows), _iso)


def _said(rows: Sequence[Body]) -> Iterator[tuple[int, Said] | None]:
    for row in rows:
        if isinstance(row, Fact):
            if isinstance(row, Logged):
                yield micros(row.at), row
            elif isinstance(row, Requeued):
                yield None
            continue
        since = _began(row)
        for one in row:
            if isinstance(one, _SAID):
                yield since + one.after, one
            elif type(one) is _Requeued:
                yield None


def _iso(us: int) -> str:
    """As `isoformat` has it, by quicker means."""
    second, rest = divmod(us, 1_000_000)
    return f"{_second(second)}.{rest:06}+00:00" if rest else f"{_second(second)}+00:00"


@lru_cache(256)
def _second(since: int) -> str:
    return moment(since * 1_000_000).isoformat().removesuffix("+00:00")


def _since(row: Sequence[_Cell]) -> datetime:
    return moment(_began(row))


def _began(row: Sequence[_Cell]) -> int:
    if row and isinstance(row[0], int):
        return row[0]
    raise ValueError("a row of events without a time")
