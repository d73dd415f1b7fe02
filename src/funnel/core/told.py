"""What the reference's own workers tell about an attempt: a change, or the end of an output."""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.event import Change, ExecutorExited, Logged, TimeTold
from funnel.core.fold import Progress, apply
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.core.value import Value

LONGEST: Final = 32 * 1024
"""Characters of an output that are compared with what was told before."""


class Tail(Value):
    """The end of what an executor has printed until now; it stands for what was told before."""

    index: int
    stream: Stream
    text: str


class Told(Value, kw_only=True):
    """`attempt` counts from 0. `what` is None where nothing is kept of it."""

    task_id: TaskId
    attempt: int
    at: datetime
    what: Change | Tail | None


def is_news(progress: Progress, change: Change) -> bool:
    """
    Whether it says more than is known; a log always does. Raises `InvalidTransition`.

    Times that come after the end of the task, as a worker tells them of one that was cancelled,
    say nothing new.
    """
    if isinstance(change, Logged):
        return True
    if isinstance(change, TimeTold) and is_final(progress.state):
        return False
    return replace(apply(progress, change), version=progress.version) != progress


def timed(progress: Progress, change: Change) -> Change:
    """An exit has the time that was told for it, where that came before it."""
    if isinstance(change, ExecutorExited) and change.index < len(progress.logs[-1].logs):
        told = progress.logs[-1].logs[change.index].end_time
        return replace(change, at=told or change.at)
    return change


def continued(before: str, now: str) -> str:
    """
    What was printed after `before`, where `now` is the end of all that was printed.

    >>> continued("one two", "two three"), continued("a", "a"), continued("", "a")
    (' three', '', 'a')
    """
    before, now = before[-LONGEST:], now[-LONGEST:]
    for size in range(min(len(before), len(now)), 0, -1):
        if (before[-size], before[-1]) == (now[0], now[size - 1]) and before.endswith(now[:size]):
            return now[size:]
    return now
