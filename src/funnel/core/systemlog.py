"""System logs as the lines that clients read."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from msgspec import json

from funnel.core.event import Logged

FIXED: Final = ("level", "msg", "timestamp", "task_attempt", "executor_index")
_ENCODE: Final = json.Encoder().encode


def line(logged: Logged, attempt: int) -> str:
    """
    One entry of `tesTaskLog.system_logs`: `key='value'` pairs, the fixed ones first.

    The form is the reference's; its clients look for `level='warning'` and the like.
    `task_attempt` counts from 0, as there; `attempt` from 1.
    """
    at, fields = _iso(logged.at), logged.fields
    if not fields.keys().isdisjoint(FIXED):
        values = (logged.level, logged.message, at, str(attempt - 1), str(logged.index))
        pairs = {**dict(zip(FIXED, values, strict=True)), **fields}
        return " ".join([f"{_key(key)}='{_quoted(value)}'" for key, value in pairs.items()])
    fixed = (
        f"level='{logged.level}' msg='{_quoted(logged.message)}' timestamp='{at}'"
        f" task_attempt='{attempt - 1}' executor_index='{logged.index}'"
    )
    own = [f" {_key(key)}='{_quoted(value)}'" for key, value in fields.items()]
    return f"{fixed}{''.join(own)}"


def _iso(at: datetime) -> str:
    """As `isoformat` has it, by quicker means."""
    text = _ENCODE(at)[1:-1].decode()
    return f"{text[:-1]}+00:00" if text.endswith("Z") else text


@lru_cache(256)
def _key(key: str) -> str:
    return key if key.isidentifier() else re.sub(r"\s", "_", key)


def _quoted(value: str) -> str:
    return value.replace("'", "\\'")
