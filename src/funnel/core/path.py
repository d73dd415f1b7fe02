"""Paths inside a container, compared as tuples of parts and never as text."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Parts: TypeAlias = tuple[str, ...]


def parts(path: str) -> Parts:
    """
    The parts of an absolute path; what is empty or `.` says nothing.

    >>> parts("/data//a/./b/")
    ('data', 'a', 'b')
    """
    return tuple(part for part in path.split("/") if part not in ("", "."))


def text(of: Parts) -> str:
    """
    The path that has these parts.

    >>> text(("data", "a"))
    '/data/a'
    """
    return "/" + "/".join(of)


def shown(of: Parts) -> str:
    """
    The path for people: what cannot be printed is escaped.

    >>> shown(("data", "a\\n"))
    '/data/a\\\\n'
    """
    return repr(text(of))[1:-1]


def is_within(inner: Parts, outer: Parts) -> bool:
    """
    Whether `inner` is `outer` or lies below it.

    >>> is_within(("data2",), ("data",))
    False
    """
    return inner[: len(outer)] == outer


def outermost(paths: Iterable[Parts]) -> list[Parts]:
    """
    The paths that lie below no other, sorted.

    >>> outermost([("a", "b"), ("a",), ("c", "d")])
    [('a',), ('c', 'd')]
    """
    kept: list[Parts] = []
    for path in sorted(paths):
        if not kept or not is_within(path, kept[-1]):
            kept.append(path)
    return kept


def is_within_any(path: Parts, outer: Sequence[Parts]) -> bool:
    """
    Whether a path is one of `outer`, which are `outermost`, or lies below it.

    >>> is_within_any(("a", "b"), [("a",), ("c",)])
    True
    """
    at = bisect_right(outer, path)
    return at > 0 and is_within(path, outer[at - 1])


def has_below(path: Parts, inner: Sequence[Parts]) -> bool:
    """
    Whether one of `inner`, which are sorted, lies below the path.

    >>> has_below(("a",), [("a",), ("a", "b")]), has_below(("a",), [("a",), ("b",)])
    (True, False)
    """
    at = bisect_right(inner, path)
    return at < len(inner) and is_within(inner[at], path)
