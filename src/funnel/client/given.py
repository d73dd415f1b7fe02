"""What programs say to a client."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from funnel.core.task import Spec

Tags: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
Described: TypeAlias = Spec | Mapping[str, Any]
"""A task to be: as values, or as plain data with the names of TES."""

TIMEOUT: Final = 60.0
"""Seconds."""
TRIES: Final = 4


def pairs(tags: Tags) -> Sequence[tuple[str, str]]:
    return tuple(tags.items()) if isinstance(tags, Mapping) else tags
