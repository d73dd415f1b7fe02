"""
The stored form of a progress: a JSON array, its times being seconds after the first of them.

Older rows hold an object; it is read as well.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Raw, Struct, json

from funnel.core.fold import EMPTY, Progress
from funnel.core.state import State
from funnel.core.task import ExecutorLog, TaskId, TaskLog
from funnel.database.packed import UNIX, Files, files, job, short_files, short_job


class _Executor(Struct, array_like=True, gc=False):
    start: timedelta | None
    end: timedelta | None
    exit_code: int | None


class _Attempt(Struct, array_like=True, gc=False):
    start: timedelta | None
    end: timedelta | None
    executors: tuple[_Executor, ...]
    outputs: Files
    metadata: Mapping[str, str]


class _Packed(Struct, array_like=True, gc=False):
    task_id: TaskId
    queue: str
    state: State
    version: int
    fence: int
    heard: int
    native_id: str | int
    pause: float
    since: datetime
    attempts: tuple[_Attempt, ...]


_EMPTY: Final = _Attempt(None, None, (), (), {})
_NOTHING: Final = (None, None, (), (), EMPTY.metadata)
_ENCODE: Final = json.Encoder().encode
_OBJECT: Final = json.Decoder(Progress)
_MANY: Final = json.Decoder(list[Raw])
_PACKED: Final = json.Decoder(_Packed, strict=False)
"""Not strict, so that numbers are read as times; to the microsecond they are exact."""


def pack_progress(progress: Progress) -> str:
    since = progress.logs[0].start_time or UNIX
    cells = (
        progress.task_id,
        progress.queue,
        progress.state,
        progress.version,
        progress.fence,
        progress.heard,
        short_job(progress.task_id, progress.native_id),
        progress.pause,
        since.timestamp(),
        [_cells(since, log) for log in progress.logs],
    )
    return _ENCODE(cells).decode()


def _cells(since: datetime, log: TaskLog) -> tuple[object, ...]:
    if log is EMPTY:
        return _NOTHING
    executors = [
        (_after(since, one.start_time), _after(since, one.end_time), one.exit_code)
        for one in log.logs
    ]
    outputs = short_files(log.outputs)
    start, end = _after(since, log.start_time), _after(since, log.end_time)
    return start, end, executors, outputs, log.metadata


def _after(since: datetime, at: datetime | None) -> float | None:
    return (at - since).total_seconds() if at else None


def read_progress(stored: bytes) -> Progress:
    """Raises what `UNREADABLE` names."""
    if stored[:1] != b"[":
        return _OBJECT.decode(stored)
    packed = _PACKED.decode(stored)
    since = packed.since
    return Progress(
        task_id=packed.task_id,
        queue=packed.queue,
        state=packed.state,
        version=packed.version,
        fence=packed.fence,
        heard=packed.heard,
        native_id=job(packed.task_id, packed.native_id),
        pause=packed.pause,
        logs=tuple([_log(since, one) for one in packed.attempts]),
    )


def read_all(text: str) -> list[Progress]:
    return [read_progress(bytes(one)) for one in _MANY.decode(text)]


def _log(since: datetime, packed: _Attempt) -> TaskLog:
    if packed.start is None and packed == _EMPTY:
        return EMPTY
    return TaskLog(
        start_time=_at(since, packed.start),
        end_time=_at(since, packed.end),
        logs=tuple([_executor(since, one) for one in packed.executors]),
        outputs=files(packed.outputs),
        metadata=packed.metadata,
    )


def _executor(since: datetime, packed: _Executor) -> ExecutorLog:
    start, end = _at(since, packed.start), _at(since, packed.end)
    return ExecutorLog(start_time=start, end_time=end, exit_code=packed.exit_code)


def _at(since: datetime, after: timedelta | None) -> datetime | None:
    return None if after is None else since + after
