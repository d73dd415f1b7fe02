"""
Tasks as their readers get them: TES JSON (TES 1.1 `tesTask`).

A spec is encoded once, when its task is created, and never decoded to be shown: what was
stored is copied into each answer, and only the rest is made anew.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, json
from msgspec.structs import replace

from funnel.core.query import Listing, Page
from funnel.core.state import State
from funnel.core.task import ExecutorLog, Spec, Task, TaskId, TaskLog
from funnel.core.value import Value

UNKNOWN_EXIT_CODE: Final = -1

_ENCODER: Final = json.Encoder()
_SPEC: Final = json.Decoder(Spec)
_TASK: Final = json.Decoder(Task)
_TASKS: Final = json.Decoder(tuple[Task, ...])


class Kept(Value):
    """What a stored `Created` event has for readers, as it was encoded."""

    at: Raw
    spec: Raw


def write_task(kept: Kept, task_id: TaskId, state: State, logs: Sequence[TaskLog]) -> bytes:
    """What is absent or at its default is left out, but never an exit code."""
    spec = bytes(kept.spec)
    return b"".join(
        (
            spec[:-1],
            b',"id":' if len(spec) > 2 else b'"id":',
            _ENCODER.encode(task_id),
            b',"state":"',
            state.encode(),
            b'","logs":',
            _ENCODER.encode([_with_exit_codes(log) for log in logs]),
            b',"creation_time":',
            bytes(kept.at),
            b"}",
        )
    )


def without_contents(kept: Kept) -> Kept:
    """The same, less what its inputs contain."""
    if b'"content"' not in bytes(kept.spec):
        return kept
    spec = _SPEC.decode(kept.spec)
    inputs = tuple(replace(one, content="") for one in spec.inputs)
    return replace(kept, spec=Raw(_ENCODER.encode(replace(spec, inputs=inputs))))


def read_task(document: bytes) -> Task:
    return _told(_TASK.decode(document))


def read_page(listing: Listing) -> Page:
    tasks = _TASKS.decode(b"[%b]" % listing.documents)
    return Page(tuple(_told(task) for task in tasks), listing.next_page_token)


def write_listing(listing: Listing) -> bytes:
    """TES 1.1 `tesListTasksResponse`."""
    token = listing.next_page_token
    more = b',"next_page_token":' + _ENCODER.encode(token) if token else b""
    return b'{"tasks":[%b]%b}' % (listing.documents, more)


def _with_exit_codes(log: TaskLog) -> TaskLog:
    if all(one.exit_code is not None for one in log.logs):
        return log
    return replace(log, logs=tuple(_with_exit_code(one) for one in log.logs))


def _with_exit_code(log: ExecutorLog) -> ExecutorLog:
    return log if log.exit_code is not None else replace(log, exit_code=UNKNOWN_EXIT_CODE)


def _told(task: Task) -> Task:
    """Without the exit codes that stand for none."""
    if all(one.exit_code != UNKNOWN_EXIT_CODE for log in task.logs for one in log.logs):
        return task
    return replace(task, logs=tuple(_without_exit_codes(log) for log in task.logs))


def _without_exit_codes(log: TaskLog) -> TaskLog:
    logs = (
        one if one.exit_code != UNKNOWN_EXIT_CODE else replace(one, exit_code=None)
        for one in log.logs
    )
    return replace(log, logs=tuple(logs))
