"""The time that the database goes by."""

import time
from collections.abc import Callable
from typing import Final

DAY: Final = 24 * 3600.0
"""Seconds. A longer time in which nothing ended is believed only when so much more has passed."""


class DatabaseClock:
    """
    Seconds since the epoch that never go back or jump, whatever the machine's clock does.

    Not between two runs either: it begins at `newest`, the newest time that the file knows,
    where the machine's clock is behind it. `wall` is that clock, and `ticks` one that nobody
    sets. `newest` is 0 where nothing is known.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        newest: float,
        *,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        began = max(wall(), newest)
        self._wall = wall
        self._ticks = ticks
        self._opened = ticks()
        self._began = began
        self.unsure = began - newest if newest and began - newest > DAY else 0.0
        """Seconds before the start in which nothing ended, or by which the clock was set ahead."""

    def now(self) -> float:
        return self._began + self._elapsed()

    def cautious(self) -> float:
        """A time that is surely over, for what cannot be undone; it may be too early."""
        unsure = self.unsure if self._elapsed() < DAY else 0.0
        return min(self.now() - unsure, self._wall())

    def _elapsed(self) -> float:
        return self._ticks() - self._opened
