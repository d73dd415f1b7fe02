"""Paths inside a container, compared as tuples of parts and never as text."""

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


def is_within(inner: Parts, outer: Parts) -> bool:
    """
    Whether `inner` is `outer` or lies below it.

    >>> is_within(("data2",), ("data",))
    False
    """
    return inner[: len(outer)] == outer


def joined(at: Parts, more: Parts) -> Parts:
    """
    Where `more`, which may climb with `..`, leads from `at`; nothing climbs above the root.

    >>> joined(("a", "b"), ("..", "..", "..", "c"))
    ('c',)
    """
    now = list(at)
    for part in more:
        if part != "..":
            now.append(part)
        elif now:
            now.pop()
    return tuple(now)
