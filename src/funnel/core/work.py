"""What an event makes us do outside: the rows of the outbox."""

from collections.abc import Iterator
from typing import TypeAlias

from funnel.core.event import Batch
from funnel.core.fold import Progress
from funnel.core.state import State
from funnel.core.task import Spec, TaskId
from funnel.core.value import Value


class Errand(Value, tag_field="kind", tag=str.lower):
    task_id: TaskId


class Submit(Errand):
    """
    Give the task to its backend.

    Name the job after `task_id` and `fence`: whoever does this errand a second time then
    finds the job that the first one left. It is due `pause` seconds after what has caused it.
    """

    fence: int
    pause: float = 0.0


class Cancel(Errand):
    """Stop the job of this attempt, which the backend knows as `native_id`."""

    fence: int
    native_id: str


Work: TypeAlias = Submit | Cancel


class Claim(Value, kw_only=True):
    """
    Work that is ours for a while. `tries` counts the claims, so a late owner is recognised.

    With it comes how far the task has come and, for a `Submit`, what it asks for; both are None
    where the task is gone.
    """

    id: int
    tries: int
    work: Work
    progress: Progress | None = None
    spec: Spec | None = None


class Done(Value):
    """Work that is done, or wanted no more, and what its task shall hear of it."""

    claim: Claim
    facts: Batch | None = None


def caused(before: Progress | None, after: Progress) -> Iterator[Work]:
    """What must be done outside because `before` became `after`."""
    if before is None:
        # What its backend has promised to take is handed over without an errand.
        if not after.native_id:
            yield Submit(after.task_id, after.fence)
    elif after.fence > before.fence:
        if before.native_id:
            yield Cancel(after.task_id, before.fence, before.native_id)
        yield Submit(after.task_id, after.fence, after.pause)
    elif _to_stop(after) and not _to_stop(before):
        yield Cancel(after.task_id, after.fence, after.native_id)


def _to_stop(progress: Progress) -> bool:
    return progress.state is State.CANCELED and bool(progress.native_id)
