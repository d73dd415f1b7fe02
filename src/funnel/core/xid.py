"""Ids that sort by time: 20 lower-case characters, as the reference has them."""

from functools import lru_cache
from typing import Final

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
LENGTH: Final = 20
_HALF: Final = 50
_PAIRS: Final = [one + other for one in ALPHABET for other in ALPHABET]


def xid(*, seconds: int, machine: int, process: int, count: int) -> str:
    """
    Twelve bytes (4 of time, 3 of machine, 2 of process, 3 of a count) in base 32.

    >>> xid(seconds=0, machine=0, process=0, count=1)
    '0000000000000000000g'
    """
    number = (
        (seconds & 0xFFFFFFFF) << 64
        | (machine & 0xFFFFFF) << 40
        | (process & 0xFFFF) << 24
        | (count & 0xFFFFFF)
    ) << 4
    return _first(number >> _HALF) + _text(number)


def _text(number: int) -> str:
    """Ten characters, of the lowest bits."""
    pairs = _PAIRS
    return (
        pairs[(number >> 40) & 1023]
        + pairs[(number >> 30) & 1023]
        + pairs[(number >> 20) & 1023]
        + pairs[(number >> 10) & 1023]
        + pairs[number & 1023]
    )


_first: Final = lru_cache(1)(_text)
"""Of time and machine, and so the same for a second."""
