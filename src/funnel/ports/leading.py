"""URLs that others lead to: whoever asks may not go to all of them."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

Judge: TypeAlias = Callable[[str], None]
"""Raises `Denied` for a URL that may not be read."""

_JUDGE: Final[ContextVar[Judge | None]] = ContextVar("judge", default=None)


@contextmanager
def judged_by(judge: Judge) -> Generator[None]:
    """What is done here, and in tasks that begin here, is done for somebody whom that judges."""
    before = _JUDGE.set(judge)
    try:
        yield
    finally:
        _JUDGE.reset(before)


def judge() -> Judge | None:
    """That of what is done now; an adapter asks it before it goes where others lead it."""
    return _JUDGE.get()
