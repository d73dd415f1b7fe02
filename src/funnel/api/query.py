"""Reading a request's query parameters."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain, repeat
from typing import Final, Self, TypeVar
from urllib.parse import parse_qsl

from funnel.core.duration import parse, shown
from funnel.core.error import Invalid, Problem
from funnel.core.query import Query, Scope, View
from funnel.core.spelling import nearest
from funnel.core.state import State

W = TypeVar("W", bound=StrEnum)

DEFAULT_PAGE: Final = 256
LARGEST_PAGE: Final = 2048
LONGEST_NUMBER: Final = 18
"""Digits; a larger number has no place in a database."""
FLAGS: Final = {"": True, "true": True, "1": True, "false": False, "0": False}

NUMBERED: Final = (
    *(State.UNKNOWN, State.QUEUED, State.INITIALIZING, State.RUNNING, State.PAUSED),
    *(State.COMPLETE, State.EXECUTOR_ERROR, State.SYSTEM_ERROR, State.CANCELED),
    *(State.PREEMPTED, State.CANCELING),
)
"""States by the numbers of the reference's protocol."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_CAPITAL: Final = re.compile(r"[A-Z]")


@lru_cache(64)
def read_view(query_string: bytes) -> View:
    """Raises `Invalid` for an unknown view; without one it is MINIMAL."""
    return view_of(Asked.in_url(query_string)) if query_string else View.MINIMAL


def read_query(query_string: bytes, scope: Scope) -> Query:
    """
    The parameters of `ListTasks`, in snake or camel case; unknown ones are ignored.

    Raises `Invalid` with every one that cannot be read.
    """
    return query_of(Asked.in_url(query_string), scope) if query_string else Query(scope=scope)


def view_of(asked: "Asked") -> View:
    view = asked.view()
    asked.complain()
    return view


def query_of(asked: "Asked", scope: Scope) -> Query:
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


class Asked:
    """The parameters of a request; what cannot be read is collected, and raised by `complain`."""

    def __init__(self, given: Mapping[str, Sequence[str]]) -> None:
        self._given = given
        self._problems: list[Problem] = []

    @classmethod
    def in_url(cls, query_string: bytes) -> Self:
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
            given.setdefault(_snake(name), []).append(value)
        return cls(given)

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
            self.problem("page_size", f"expected an integer, got {digits[:80]!r}")
            return DEFAULT_PAGE
        size = int(digits[:19])
        return min(size, LARGEST_PAGE) if size > 0 else DEFAULT_PAGE

    def tags(self) -> tuple[tuple[str, str], ...]:
        """Paired by position; of one key, the last pair counts, and values too many do not."""
        keys, values = (self._given.get(name, ()) for name in ("tag_key", "tag_value"))
        return tuple(dict(zip(keys, chain(values, repeat("")), strict=False)).items())

    def number(self, name: str) -> int | None:
        """A number from 0 on; None where none is given."""
        digits = self.last(name)
        if not digits:
            return None
        if digits.isdecimal() and digits.isascii() and len(digits) <= LONGEST_NUMBER:
            return int(digits)
        self.problem(name, f"expected a number from 0 on, got {digits[:80]!r}")
        return None

    def flag(self, name: str) -> bool:
        """A name without a value is a yes."""
        word = self.last(name) if name in self._given else "false"
        if word.lower() not in FLAGS:
            self.problem(name, f"expected true or false, got {word[:80]!r}")
        return FLAGS.get(word.lower(), False)

    def duration(self, name: str) -> timedelta:
        try:
            found = parse(self.last(name)[:80])
        except Invalid as error:
            self.problem(name, str(error))
            return timedelta(0)
        if found < timedelta(0):
            self.problem(name, f"expected a duration that is not negative, got {shown(found)}")
        return found

    def words(self, name: str, known: type[W]) -> frozenset[W]:
        """Those in a list with commas."""
        words = dict.fromkeys(self.last(name).split(",") if self.last(name) else ())
        for word in words:
            if word not in known.__members__.values():
                self._unknown(name, word, known)
        return frozenset(one for one in known if one in words)

    def problem(self, name: str, message: str) -> None:
        self._problems.append(Problem(name, message))

    def _unknown(self, name: str, word: str, known: type[StrEnum]) -> None:
        upper = {one.upper(): one for one in known}
        near = nearest(word.upper()[:80], upper)
        hint = f"did you mean {upper[near]}?" if near else f"expected one of {', '.join(known)}"
        self.problem(name, f"{word[:80]!r} is not a {known.__name__.lower()}, {hint}")


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: "_" + found[0].lower(), name)
