"""One after the other, where all of them want the same."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.core.error import FunnelError


class Turns:
    """
    Who has waited for another that failed has failed as well.

    So many that need a token are not kept for as many times as its service takes to fail.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._count = 0
        self._failure: FunnelError | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        before = self._count
        async with self._lock:
            if self._failure and self._count != before:
                raise type(self._failure)(str(self._failure)) from self._failure
            self._failure = None
            try:
                yield
            except FunnelError as error:
                self._failure = error
                raise
            finally:
                self._count += 1
