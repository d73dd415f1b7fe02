"""What can go wrong between a storage and its store, and what must come of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeAlias

READING: Final = frozenset({"get small", "get large"})
WRITING: Final = frozenset({"put small", "put large"})
BODIES: Final = READING | {"list"}


class Must(Enum):
    """What an operation has to make of a fault, once that passes."""

    SUCCEED = auto()
    MAY_FAIL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    `strike` is what a line makes of a request.

    `once` is what must come of it when it happens one time; `ops` are those that it means, and
    `verbs` the requests, where they are few. `summed` is only seen where the store tells
    checksums of what it sends, and `checked` where it looks at those of what comes.
    """

    strike: Any
    once: Must = Must.SUCCEED
    ops: frozenset[str] = field(default_factory=frozenset[str])
    verbs: frozenset[str] = field(default_factory=frozenset[str])
    always: bool = True
    summed: bool = False
    checked: bool = False


Choose: TypeAlias = Callable[[int, str], Any]
"""The strike for a request, by its number and what is asked; none for those that pass."""


class Line(Protocol):
    """Between a storage and the real server."""

    address: str
    asked: list[str]
    """All requests; the first word of each is its verb."""
    struck: int
    busy: int
    """Requests that have no answer yet."""

    def running(self) -> AbstractAsyncContextManager[object]: ...
