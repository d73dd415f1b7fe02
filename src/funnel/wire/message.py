"""Messages about events as JSON, as the Go Funnel writes them: protojson of `events.Event`."""

import re
from typing import Any, Final, cast

from msgspec import json, to_builtins

from funnel.core.message import Message

MAPS: Final = frozenset({"tags", "env", "backend_parameters"})
"""Fields of a task whose names below are the user's own."""

_ENCODE: Final = json.Encoder().encode
_INDENT: Final = re.compile(rb"\n +")


def encode(message: Message) -> bytes:
    """On one line; names in camel case, and what is absent or at its default left out."""
    if message.task is None:
        return _ENCODE(message)
    plain: dict[str, Any] = to_builtins(message)
    return _ENCODE({**plain, "task": _camel(plain["task"])})


def indent(line: bytes) -> bytes:
    """The same JSON on many lines, indented with tabs."""
    return _INDENT.sub(_tabs, json.format(line, indent=1))


def camel(name: str) -> str:
    """
    The name of a field in the JSON of its protocol buffer.

    >>> camel("cpu_cores")
    'cpuCores'
    """
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _tabs(found: re.Match[bytes]) -> bytes:
    return b"\n".ljust(len(found[0]), b"\t")


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {camel(name): one if name in MAPS else _camel(one) for name, one in pairs}
    if isinstance(value, list | tuple):
        return [_camel(one) for one in cast("list[Any]", value)]
    return value
