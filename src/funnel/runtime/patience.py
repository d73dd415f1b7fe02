"""Outlasting an engine that is gone for a while."""

import asyncio
import logging
from collections.abc import Iterator

from funnel.core.backoff import delays
from funnel.core.error import Unavailable
from funnel.runtime.engine import Refusal

log = logging.getLogger(__name__)


class Patience:
    """Counts from the first failure; any success makes it new."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._since: float | None = None
        self._delays: Iterator[float] = delays(first=0.1, most=5.0)

    async def after(self, error: Unavailable) -> None:
        """Wait a little; raise the error when the engine said no, or has been gone too long."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            log.warning("waiting for the container engine: %s", error)
        if isinstance(error, Refusal) or now - self._since >= self._seconds:
            raise error
        await asyncio.sleep(next(self._delays))
