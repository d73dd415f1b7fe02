"""Durations as people write them: 10s, 5m, 1h30m, 10ms, or plain seconds."""

import re
from datetime import timedelta
from typing import Final

from funnel.core.error import Invalid

UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
SHOWN: Final = (("h", 3600), ("m", 60), ("s", 1))

LONGEST: Final = 64
"""Characters; nobody writes more, and reading takes longer with each."""

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"([+-]?)(?:({_NUMBER})|((?:{_PART.pattern})+))", re.ASCII)


def parse(text: str) -> timedelta:
    """
    The duration that `text` names; may be negative. Raises `Invalid`.

    >>> parse("1h30m"), parse("0.5")
    (datetime.timedelta(seconds=5400), datetime.timedelta(microseconds=500000))
    """
    if len(text) > LONGEST:
        raise Invalid(f"{text[:LONGEST]!r}… is longer than {LONGEST} characters")
    found = _WHOLE.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is not a duration, write it as in 10s, 5m, 1h30m or 250ms")
    sign, plain, parts = found[1], found[2], found[3]
    seconds = float(plain) if plain else _sum(parts)
    try:
        return timedelta(seconds=-seconds if sign == "-" else seconds)
    except OverflowError:
        raise Invalid(f"{text!r} is too long a duration") from None


def shown(duration: timedelta) -> str:
    """
    What `parse` reads back as the same.

    >>> shown(timedelta(minutes=90)), shown(timedelta(milliseconds=10)), shown(timedelta(0))
    ('1h30m', '10ms', '0s')
    """
    micros = duration // timedelta(microseconds=1)
    if micros < 0:
        return "-" + shown(-duration)
    seconds, rest = divmod(micros, 1_000_000)
    text = ""
    for unit, size in SHOWN:
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    if rest:
        text += f"{rest // 1000}ms" if rest % 1000 == 0 else f"{rest}us"
    return text or "0s"


def _sum(parts: str) -> float:
    return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(parts))
