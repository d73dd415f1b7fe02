"""Output patterns: POSIX wildcards, which never cross a `/` (TES 1.1 `tesOutput.path`)."""

import re
from collections.abc import Iterator
from fnmatch import translate
from typing import Final

from funnel.core.path import Parts

SIGNS: Final = re.compile(r"[*?\[]")


def has_wildcard(path: str) -> bool:
    """
    Whether the path may be a pattern.

    >>> has_wildcard("/out/*.txt"), has_wildcard("/out/a.txt")
    (True, False)
    """
    return SIGNS.search(path) is not None


def split(pattern: Parts) -> tuple[Parts, Parts]:
    """
    The parts before the first wildcard, and the rest.

    >>> split(("out", "run1", "*", "a.txt"))
    (('out', 'run1'), ('*', 'a.txt'))
    """
    at = next((n for n, part in enumerate(pattern) if has_wildcard(part)), len(pattern))
    return pattern[:at], pattern[at:]


def matching(pattern: str, names: Iterator[str]) -> Iterator[str]:
    """
    The names that one part of a pattern matches; a leading dot must be asked for.

    >>> list(matching("*", iter([".hidden", "a.txt"])))
    ['a.txt']
    """
    fits = re.compile(translate(pattern)).match
    dotted = pattern.startswith(".")
    return (name for name in names if fits(name) and (dotted or not name.startswith(".")))
