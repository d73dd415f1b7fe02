"""Rows that cannot be read."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from msgspec import DecodeError

from funnel.core.error import Unavailable

T = TypeVar("T")

UNREADABLE: Final = (
    *(DecodeError, OverflowError, RecursionError, TypeError, ValueError),
    sqlite3.OperationalError,
)
"""What reading such a row raises: its JSON is none, or not ours, or not even text."""


class Damaged(Unavailable):
    """What is kept of these tasks, by the numbers of their rows, cannot all be read."""

    def __init__(self, numbers: Iterable[int]) -> None:
        super().__init__("something that the database holds cannot be read; see the server's log")
        self.numbers = frozenset(numbers)


def reading(look: Callable[[], T], suspects: Callable[[], Iterable[int]]) -> T:
    """What `look` finds. Raises `Damaged` with the suspects where that cannot be read."""
    try:
        return look()
    except UNREADABLE as error:
        numbers = [*suspects()]
        if not numbers:
            raise
        raise Damaged(numbers) from error
