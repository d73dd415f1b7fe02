"""What a keeper is to do."""

from datetime import timedelta

from msgspec import Raw

from funnel.core.task import TaskId
from funnel.core.value import Value


class Order(Value, kw_only=True):
    """
    Remove the containers of a task, of its attempts up to `fence`.

    `lock` is the file that whoever works on the attempt has locked; a worker that takes it within
    `grace` seconds of the death of the one before goes on instead; it is empty where nobody can.
    """

    runtime: str
    settings: Raw
    """Those of the runtime, as JSON."""
    deployment: str
    task_id: TaskId
    fence: int
    stop_grace: timedelta
    lock: str
    grace: float
