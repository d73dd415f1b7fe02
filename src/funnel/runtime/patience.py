"""Outlasting an engine that is gone for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from funnel.core.backoff import delays
from funnel.core.error import Unavailable
from funnel.runtime.engine import Late, Silent

log = logging.getLogger(__name__)

T = TypeVar("T")


class Patience:
    """Counts from the first failure; any success makes it new."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tried = False
        self.renew()

    def was_tried(self) -> bool:
        """Whether the engine has failed since this was asked last."""
        tried, self._tried = self._tried, False
        return tried

    def renew(self) -> None:
        self._since: float | None = None
        self._delays: Iterator[float] = delays(first=0.1, most=5.0)

    async def after(self, error: Unavailable) -> None:
        """Wait a little; raise the error when the engine has answered, or been gone too long."""
        self._tried = True
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            log.info("waiting for the container engine: %s", error)
        if not isinstance(error, Silent | Late) or now - self._since >= self._seconds:
            raise error
        await asyncio.sleep(next(self._delays))

    async def outlast(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of a call that may be made again, whatever became of it."""
        while True:
            try:
                return await call()
            except Unavailable as error:
                await self.after(error)
