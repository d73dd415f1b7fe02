"""How far files on their way are, for people."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from funnel.cli.storage.shown import size

WINDOW: Final = 10.0
"""Seconds that the rate is of."""
BAR: Final = 20


class Progress:
    """Of so many files, which have `total` bytes; -1 where nobody knows. `clock` is in seconds."""

    def __init__(self, files: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._total = total
        self._clock = clock
        self._moved = 0
        self._done = 0
        self._failed = 0
        self._marks = deque([(clock(), 0)])

    def moved(self, count: int) -> None:
        self._moved += count

    def file_done(self) -> None:
        self._done += 1

    def file_failed(self) -> None:
        self._failed += 1

    def line(self) -> str:
        """To be asked every now and then."""
        rate = self._rate()
        failed = f", {self._failed} failed" if self._failed else ""
        files = f"{self._done} of {self._files} files{failed}"
        if self._total < 0:
            return f"{files}  {size(self._moved)}  {size(round(rate))}/s"
        # What is sent a second time, after a failure, counts twice.
        moved = min(self._moved, self._total)
        share = moved / self._total if self._total else self._done / max(1, self._files)
        bar = "=" * int(BAR * share)
        left = f"  {_clock((self._total - moved) / rate)} left" if rate else ""
        return (
            f"[{bar:{BAR}}] {share:4.0%}  {files}  {size(moved)} of {size(self._total)}"
            f"  {size(round(rate))}/s{left}"
        )

    def _rate(self) -> float:
        """Bytes a second, lately."""
        now = self._clock()
        self._marks.append((now, self._moved))
        while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        return (self._moved - before) / (now - since) if now > since else 0.0


def _clock(seconds: float) -> str:
    """
    >>> _clock(75), _clock(3700.2)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
