"""Reading a request's query parameters."""

import difflib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from funnel.core.error import Invalid, Problem
from funnel.core.query import Query, Scope, View
from funnel.core.state import State

DEFAULT_PAGE: Final = 256
LARGEST_PAGE: Final = 2048

NUMBERED: Final = (
    *(State.UNKNOWN, State.QUEUED, State.INITIALIZING, State.RUNNING, State.PAUSED),
    *(State.COMPLETE, State.EXECUTOR_ERROR, State.SYSTEM_ERROR, State.CANCELED),
    *(State.PREEMPTED, State.CANCELING),
)
"""States by the numbers of the reference's protocol."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_CAPITAL: Final = re.compile(r"[A-Z]")


def read_view(query_string: bytes) -> View:
    """Raises `Invalid` for an unknown view; without one it is MINIMAL."""
    if not query_string:
        return View.MINIMAL
    asked = _Asked(query_string)
    view = asked.view()
    asked.complain()
    return view


def read_query(query_string: bytes, scope: Scope) -> Query:
    """
    The parameters of `ListTasks`, in snake or camel case; unknown ones are ignored.

    Raises `Invalid` with every one that cannot be read.
    """
    if not query_string:
        return Query(scope=scope)
    asked = _Asked(query_string)
    query = Query(
        scope=scope,
        view=asked.view(),
        state=asked.state(),
        name_prefix=asked.last("name_prefix"),
        tags=asked.tags(),
        page_size=asked.page_size(),
        page_token=asked.last("page_token"),
    )
    asked.complain()
    return query


class _Asked:
    def __init__(self, query_string: bytes) -> None:
        self._given: dict[str, list[str]] = {}
        self._problems: list[Problem] = []
        for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
            self._given.setdefault(_snake(name), []).append(value)

    def complain(self) -> None:
        if self._problems:
            texts = (f"{one.field}: {one.message}" for one in self._problems)
            raise Invalid("; ".join(texts), tuple(self._problems))

    def last(self, name: str) -> str:
        return self._given.get(name, [""])[-1]

    def view(self) -> View:
        word = self.last("view")
        if not word or word in View.__members__:
            return View(word or View.MINIMAL)
        self._unknown("view", word, View)
        return View.MINIMAL

    def state(self) -> State | None:
        """UNKNOWN, in which no task ever is, is no filter."""
        word = self.last("state")
        if word.isdecimal() and word.isascii() and len(word) < 3 and int(word) < len(NUMBERED):
            word = NUMBERED[int(word)]
        if not word or word == State.UNKNOWN:
            return None
        if word in State.__members__:
            return State(word)
        self._unknown("state", word, State)
        return None

    def page_size(self) -> int:
        digits = self.last("page_size")
        if "page_size" not in self._given:
            return DEFAULT_PAGE
        if not _INTEGER.fullmatch(digits):
            self._problems.append(Problem("page_size", f"expected an integer, got {digits[:80]!r}"))
            return DEFAULT_PAGE
        size = int(digits[:19])
        return min(size, LARGEST_PAGE) if size > 0 else DEFAULT_PAGE

    def tags(self) -> tuple[tuple[str, str], ...]:
        """Paired by position; of one key, the last pair counts, and values too many do not."""
        keys, values = (self._given.get(name, []) for name in ("tag_key", "tag_value"))
        values += [""] * (len(keys) - len(values))
        return tuple(dict(zip(keys, values, strict=False)).items())

    def _unknown(self, name: str, word: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(word.upper()[:80], list(known), n=1)
        hint = f", did you mean {near[0]}?" if near else f", expected one of {', '.join(known)}"
        self._problems.append(Problem(name, f"{word[:80]!r} is not a {name}{hint}"))


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: "_" + found[0].lower(), name)
