"""How a task ended, for people and for the shell."""

import re
from typing import Final

from funnel.core.state import State
from funnel.core.task import Task

FIELD: Final = r"{}='((?:[^'\\]|\\.)*)'"
REASON: Final = re.compile(FIELD.format(" error"))
MESSAGE: Final = re.compile(FIELD.format(" msg"))


def exit_code(task: Task) -> int:
    """That of the executor that failed; 1 for an end without one."""
    if task.state is State.COMPLETE:
        return 0
    logs = task.logs[-1].logs if task.logs and task.state is State.EXECUTOR_ERROR else ()
    codes = [log.exit_code for log in logs if log.exit_code and 0 < log.exit_code < 256]
    return codes[-1] if codes else 1


def ending(task: Task) -> str:
    """State, and the last error of the system log, in a line."""
    lines = task.logs[-1].system_logs if task.logs else ()
    errors = [line for line in lines if "level='error'" in line]
    last = errors[-1] if errors else ""
    found = REASON.search(last) or MESSAGE.search(last)
    reason = ": " + found[1].replace("\\'", "'") if found else ""
    return f"Task {task.id} exited with state {task.state}{reason}"
