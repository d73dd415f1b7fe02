"""How long an attempt belongs to a worker that is away from the server."""

from enum import Enum, auto
from typing import Final

from funnel.core.attempts import Asked, started
from funnel.core.task import TaskLog
from funnel.core.value import Value

WORKER: Final = "worker"
"""Under this name the metadata of an attempt has the worker that holds it."""
RENEWED: Final = 1 / 3
HOLDER: Final = 5 / 6
SERVER: Final = 7 / 6
"""Shares of the lease. Clocks may run a tenth too fast or too slow; nobody acts too early."""


class Standing(Enum):
    """What a worker may do that has not heard of the server for a while."""

    HOLDS = auto()
    WAITS = auto()
    """Its container runs on; nothing may leave the machine."""
    LOST = auto()
    """It stops its container: the attempt is not its own any more."""


class Terms(Value, kw_only=True):
    """
    Both are in seconds. A lease counts from the sending of what was answered last.

    `grace` is for containers that may have started and must not be started again.
    """

    lease: float = 30.0
    grace: float = 900.0

    @property
    def renewal(self) -> float:
        """A worker that has nothing to say for so long, says so."""
        return self.lease * RENEWED

    @property
    def authority(self) -> float:
        """Silence after which a worker may publish nothing."""
        return self.lease * HOLDER

    def standing(self, silence: float, *, keeps: bool) -> Standing:
        """By the worker's own clock; `keeps` as the function of that name has it."""
        if silence < self.authority:
            return Standing.HOLDS
        return Standing.WAITS if silence < self.patience(keeps=keeps) else Standing.LOST

    def patience(self, *, keeps: bool) -> float:
        """Silence after which a worker stops its container."""
        return self._span(keeps=keeps) * HOLDER

    def is_over(self, silence: float, *, keeps: bool) -> bool:
        """By the server's clock: whether another may have the attempt, or it ends."""
        return silence >= self._span(keeps=keeps) * SERVER

    def _span(self, *, keeps: bool) -> float:
        return max(self.lease, self.grace) if keeps else self.lease


def keeps(log: TaskLog, wanted: Asked) -> bool:
    """Whether containers run on unheard: they may have started, and nobody wants them again."""
    return started(log) and wanted.max_attempts == 1


def may_hold(log: TaskLog, holder: str) -> bool:
    """Whether an attempt is free, or this worker's already."""
    return log.metadata.get(WORKER, holder) == holder
