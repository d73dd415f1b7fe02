"""System logs as the lines that clients read."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol, TypeVar

from msgspec import json

from funnel.core.event import Event, Level, Logged, Requeued

T = TypeVar("T", int, datetime)
FIXED: Final = ("level", "msg", "timestamp", "task_attempt", "executor_index")
FIXED_KEYS: Final = frozenset(FIXED)
_ENCODE: Final = json.Encoder().encode


class Said(Protocol):
    """What has a line, but for its time."""

    @property
    def message(self) -> str: ...
    @property
    def level(self) -> Level: ...
    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def index(self) -> int: ...


def line(logged: Logged, attempt: int) -> str:
    """
    One entry of `tesTaskLog.system_logs`: `key='value'` pairs, the fixed ones first.

    The form is the reference's; its clients look for `level='warning'` and the like.
    `task_attempt` counts from 0, as there; `attempt` from 1.
    """
    return _line(_iso(logged.at), logged, attempt)


def by_attempt(
    entries: Iterable[tuple[T, Said] | None], shown: Callable[[T], str]
) -> Mapping[int, tuple[str, ...]]:
    """
    The lines of each attempt, 1 the first; an entry that is None begins the next.

    Entries have a time, and none is told earlier than one before it.
    """
    lines = list[str]()
    said, latest = [lines], None
    for entry in entries:
        if entry is None:
            lines = list[str]()
            said.append(lines)
            continue
        at, what = entry
        latest = at if latest is None else max(at, latest)
        lines.append(_line(shown(latest), what, len(said)))
    return {attempt: tuple(lines) for attempt, lines in enumerate(said, 1)}


def of_events(events: Iterable[Event]) -> Mapping[int, tuple[str, ...]]:
    """The same of the events of a task."""
    entries = (
        (event.at, event) if isinstance(event, Logged) else None
        for event in events
        if isinstance(event, Logged | Requeued)
    )
    return by_attempt(entries, _iso)


def _line(at: str, said: Said, attempt: int) -> str:
    fields = said.fields
    if not FIXED_KEYS.isdisjoint(fields):
        values = (said.level, said.message, at, str(attempt - 1), str(said.index))
        pairs = {**dict(zip(FIXED, values, strict=True)), **fields}
        return " ".join([f"{_key(key)}='{_quoted(value)}'" for key, value in pairs.items()])
    # Added, since the member of an enumeration is formatted by Python, and slowly.
    text = "level='" + said.level + f"' msg='{_quoted(said.message)}' timestamp='{at}'"
    text += f" task_attempt='{attempt - 1}' executor_index='{said.index}'"
    for key, value in fields.items():
        text += f" {_key(key)}='{_quoted(value)}'"
    return text


def _iso(at: datetime) -> str:
    """As `isoformat` has it, by quicker means."""
    text = _ENCODE(at)[1:-1].decode()
    return f"{text[:-1]}+00:00" if text.endswith("Z") else text


@lru_cache(256)
def _key(key: str) -> str:
    return key if key.isidentifier() else re.sub(r"\s", "_", key)


def _quoted(value: str) -> str:
    return value.replace("'", "\\'")
