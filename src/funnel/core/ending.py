"""What is said of an attempt that has failed."""

from datetime import datetime

from funnel.core.attempts import Again
from funnel.core.event import Change, Level, Logged, Requeued, StateChanged
from funnel.core.outcome import Failed, SystemFailed, describe, final_state
from funnel.core.task import TaskId


def ended(
    task_id: TaskId, now: datetime, failed: Failed, following: Again | None
) -> tuple[Change, ...]:
    """Why it failed, and the attempt that follows, or the end of the task."""
    message = "System error" if isinstance(failed, SystemFailed) else "Exec error"
    complaint = Logged(task_id, now, message, Level.ERROR, {"error": describe(failed)})
    if following is None:
        return (complaint, StateChanged(task_id, now, final_state(failed)))
    about = {
        "reason": following.reason,
        "attempt": str(following.number),
        "in": f"{following.pause:.1f}s",
    }
    return (
        complaint,
        Logged(task_id, now, "trying again", Level.WARNING, about),
        Requeued(task_id, now, describe(failed), following.pause),
    )
