"""Making ids for tasks."""

import os
import secrets
from collections.abc import Callable
from itertools import count

from funnel.core.task import TaskId
from funnel.core.xid import xid
from funnel.ports import Clock


def ids(now: Clock) -> Callable[[], TaskId]:
    """A source of ids that no other source, here or on another machine, will give out."""
    machine, process = secrets.randbits(24), os.getpid()
    counter = count(secrets.randbits(24))

    def new_id() -> TaskId:
        seconds = int(now().timestamp())
        return TaskId(xid(seconds=seconds, machine=machine, process=process, count=next(counter)))

    return new_id
