"""Something of the provider that is kept, and fetched anew from time to time."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from funnel.core.error import Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)


class Kept(Generic[T]):
    """
    Fetched on first use, and again once it is older than `fresh` seconds, by whoever uses it.

    While the provider does not answer, what is known goes on. There is one fetch at a time,
    and none within `pause` seconds of the one before, whoever asks for how much.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        *,
        fresh: float,
        pause: float,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._fresh = fresh
        self._pause = pause
        self._clock = clock
        self._value: T | None = None
        self._fetched_at = self._tried_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """Raises `Unavailable` while it is not there."""
        if self._value is None:
            await self._wait()
        elif self._clock() - self._fetched_at > self._fresh:
            self._start()
        if self._value is None:
            raise Unavailable("the identity provider does not answer; try again later")
        return self._value

    async def renewed(self) -> T:
        """As it is after one more look, where there was none a moment ago."""
        with suppress(Unavailable):
            await self._wait()
        return await self.get()

    async def close(self) -> None:
        if self._fetching:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _wait(self) -> None:
        if fetching := self._start():
            await asyncio.shield(fetching)

    def _start(self) -> asyncio.Task[None] | None:
        if not self._fetching:
            if self._clock() - self._tried_at < self._pause:
                return None
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        """Never raises: who needs it sees whether it is there."""
        try:
            self._value = await self._fetch()
            self._fetched_at = self._clock()
        except Unavailable as error:
            log.warning("%s", error)
        finally:
            self._fetching = None
