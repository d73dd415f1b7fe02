"""What becomes of a task of which something that was kept cannot be read any more."""

from collections.abc import Sequence
from functools import reduce
from typing import Final

from msgspec.structs import replace

from funnel.core.error import FunnelError
from funnel.core.event import Change, Created, ExecutorExited, ExecutorStarted
from funnel.core.fold import Progress, apply, begin
from funnel.core.state import State, is_final
from funnel.core.task import TaskId
from funnel.core.value import Value

LARGEST: Final = 2**62


class Remnant(Value, kw_only=True):
    """
    What can still be read of a task; None for what cannot.

    `changes` are all events but the first, or None where one of them is lost; `last` is the
    number of the last. `state` is what the task is listed under.
    """

    task_id: TaskId
    queue: str
    state: State | None
    progress: Progress | None
    created: Created | None
    changes: Sequence[Change] | None
    last: int


def plausible(progress: Progress, last: int) -> bool:
    """Whether it can be the fold of events up to number `last`."""
    counted = last <= progress.version < LARGEST and 0 <= progress.heard < LARGEST
    return counted and len(progress.logs) == progress.fence


def mended(left: Remnant) -> Progress:
    """
    How far the task has come, as far as that can be known.

    The events are the truth, so a progress that is lost, or that contradicts the state which the
    task is listed under, is folded from them anew. Without them, or
    without its spec, nobody can go on with the task: it has ended as it was listed, or else
    by a fault of the system.
    """
    progress = left.progress
    if progress is None or progress.state is not left.state:
        progress = _folded(left) or progress
    if progress is None:
        progress = Progress(task_id=left.task_id, queue=left.queue, state=State.SYSTEM_ERROR)
    elif left.created is None and not is_final(progress.state):
        progress = replace(progress, state=State.SYSTEM_ERROR)
    if left.state and is_final(left.state):
        progress = replace(progress, state=left.state)
    return replace(progress, task_id=left.task_id, version=max(progress.version, left.last))


def _folded(left: Remnant) -> Progress | None:
    """
    None where the events do not tell.

    What was heard of the attempt is not among them: whoever is still at it is asked to begin
    anew with its count, which ends it.
    """
    if left.created is None or left.changes is None:
        return None
    steps = len(left.created.spec.executors)
    if not all(0 <= _index(one) < max(steps, 1) for one in left.changes):
        return None
    try:
        return reduce(apply, left.changes, begin(left.created))
    except FunnelError:
        return None


def _index(change: Change) -> int:
    return change.index if isinstance(change, ExecutorStarted | ExecutorExited) else 0
