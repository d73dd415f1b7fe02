"""The one place where a task changes."""

from datetime import datetime
from functools import reduce
from typing import assert_never

from msgspec.structs import replace

from funnel.core.error import Fenced, Gap, InvalidTransition
from funnel.core.event import (
    Accepted,
    Batch,
    Change,
    Created,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    MetadataAdded,
    Moment,
    Note,
    OutputsStored,
    Printed,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.state import State, advance, is_final
from funnel.core.task import ExecutorLog, TaskId, TaskLog
from funnel.core.value import Value

EMPTY = TaskLog()


class Progress(Value, kw_only=True):
    """
    How far a task has come: the fold of its events.

    `version` counts them all, `heard` those taken from the attempt that holds `fence`, which
    waits `pause` seconds before it begins.
    """

    task_id: TaskId
    queue: str
    state: State = State.QUEUED
    version: int = 1
    fence: int = 1
    heard: int = 0
    native_id: str = ""
    pause: float = 0.0
    logs: tuple[TaskLog, ...] = (EMPTY,)


def begin(event: Created) -> Progress:
    return Progress(task_id=event.task_id, queue=event.queue)


def extend(before: Progress, batch: Batch) -> tuple[Progress, tuple[Change, ...]]:
    """The progress after the batch, and those of its events that are news."""
    if batch.fence not in (None, before.fence):
        raise Fenced(f"{batch.task_id} is at attempt {before.fence}, not {batch.fence}")
    if not batch.first:
        news = tuple(one for one in batch.events if not _is_known(before, one))
        return reduce(apply, news, before), news
    known = before.heard + 1 - batch.first
    if known < 0:
        raise Gap(f"{batch.task_id} has heard {before.heard}; send again from {before.heard + 1}")
    news = batch.events[known:]
    after = reduce(apply, news, before)
    heard = before.heard + len(news) if after.fence == before.fence else 0
    return replace(after, heard=heard), news


def _is_known(before: Progress, event: Change) -> bool:
    """Whether it asks for the state that there is: an end that is told again stays one end."""
    return isinstance(event, StateChanged) and event.state is before.state


def apply(before: Progress, event: Change) -> Progress:
    """The progress after one more event."""
    now = replace(before, version=before.version + 1)
    match event:
        case Printed() | Logged():
            return now
        case StateChanged(state=state):
            return _noted(replace(now, state=advance(now.state, state)), event)
        case Accepted(native_id=native_id):
            return replace(now, native_id=native_id)
        case Requeued():
            return _again(_unfinished(now), event)
        case _:
            return _noted(_unfinished(now), event)


def _unfinished(now: Progress) -> Progress:
    if is_final(now.state):
        raise InvalidTransition(f"the task is already {now.state}")
    return now


def _again(now: Progress, event: Requeued) -> Progress:
    """A new attempt. The fence moves on, so the old one is no longer heard."""
    return Progress(
        task_id=now.task_id,
        queue=now.queue,
        version=now.version,
        fence=now.fence + 1,
        pause=event.pause,
        logs=(*now.logs[:-1], _ended(now.logs[-1], event.at), EMPTY),
    )


def _noted(now: Progress, event: StateChanged | Note) -> Progress:
    return replace(now, logs=(*now.logs[:-1], note(now.logs[-1], event)))


def note(log: TaskLog, event: StateChanged | Note) -> TaskLog:
    """The log of an attempt after one more event."""
    match event:
        case StateChanged(at=at, state=state):
            return _ended(log, at) if is_final(state) else _begun(log, at)
        case ExecutorStarted(at=at, index=index):
            return _executor(log, index, start_time=at)
        case ExecutorExited(at=at, index=index, code=code):
            return _executor(log, index, end_time=at, exit_code=code)
        case TimeTold():
            return _timed(log, event)
        case OutputsStored(outputs=outputs):
            return replace(log, outputs=outputs)
        case MetadataAdded(metadata=metadata):
            return replace(log, metadata={**log.metadata, **metadata})
        case _:
            assert_never(event)


def _begun(log: TaskLog, at: datetime) -> TaskLog:
    return replace(log, start_time=log.start_time or at)


def _timed(log: TaskLog, told: TimeTold) -> TaskLog:
    match told.moment:
        case Moment.TASK_STARTED:
            return replace(log, start_time=told.at)
        case Moment.TASK_ENDED:
            return replace(log, end_time=told.at)
        case Moment.EXECUTOR_ENDED:
            return _executor(log, told.index, end_time=told.at)
        case _:
            assert_never(told.moment)


def _ended(log: TaskLog, at: datetime) -> TaskLog:
    """The task has ended, and with it any executor that was still at work."""
    at = log.end_time or max(at, latest(log, at))
    logs = tuple(one if one.end_time else replace(one, end_time=at) for one in log.logs)
    return replace(log, end_time=at, logs=logs)


def latest(log: TaskLog, otherwise: datetime) -> datetime:
    """The latest time that an attempt has told."""
    own = (log.start_time, log.end_time)
    times = [*own, *(at for one in log.logs for at in (one.start_time, one.end_time))]
    return max([at for at in times if at], default=otherwise)


def _executor(log: TaskLog, index: int, **found: datetime | int) -> TaskLog:
    logs = [*log.logs, *(ExecutorLog() for _ in range(index + 1 - len(log.logs)))]
    logs[index] = replace(logs[index], **found)
    return replace(log, logs=tuple(logs))
