"""System logs as the lines that clients read."""

import re

from funnel.core.event import Logged


def line(logged: Logged, attempt: int) -> str:
    """
    One entry of `tesTaskLog.system_logs`: `key='value'` pairs, the fixed ones first.

    The form is the reference's; its clients look for `level='warning'` and the like.
    `task_attempt` counts from 0, as there; `attempt` from 1.
    """
    pairs = {
        "level": logged.level,
        "msg": logged.message,
        "timestamp": logged.at.isoformat(),
        "task_attempt": str(attempt - 1),
        "executor_index": str(logged.index),
        **logged.fields,
    }
    return " ".join([f"{_key(key)}='{_quoted(value)}'" for key, value in pairs.items()])


def _key(key: str) -> str:
    return key if key.isidentifier() else re.sub(r"\s", "_", key)


def _quoted(value: str) -> str:
    return value.replace("'", "\\'")
