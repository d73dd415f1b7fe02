"""How long an attempt may run."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Limit:
    """
    Seconds from the start of an attempt's first container; 0 is no limit.

    They are counted by the clock of the machine that never jumps, and over restarts of the
    server, since what it showed is kept in `mark`. No container lives over one of the machine.
    """

    def __init__(
        self, seconds: float, mark: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._mark = mark
        self._clock = clock
        self._began: float | None = None

    def begin(self) -> None:
        """Count from now, or from when it was first called for this mark; blocks."""
        if not self.seconds or self._began is not None:
            return
        now = self._clock()
        with suppress(FileNotFoundError, ValueError):
            self._began = min(now, float(self._mark.read_text()))
            return
        self._mark.write_text(repr(now))
        self._began = now

    def is_over(self) -> bool:
        return bool(self.seconds) and not self.left()

    def left(self) -> float:
        """Seconds, 0 when time is up. To be asked once it has begun."""
        passed = self._clock() - (self._clock() if self._began is None else self._began)
        return max(0.0, self.seconds - passed)
