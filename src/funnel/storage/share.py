"""A share without limits."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Unlimited:
    """Answers `ports.Share` for who is alone."""

    def moved(self, count: int) -> None:
        """Nobody asks."""

    @asynccontextmanager
    async def place(self, memory: int) -> AsyncGenerator[None]:
        del memory
        yield

    @asynccontextmanager
    async def spare(self, most: int, memory: int) -> AsyncGenerator[int]:
        del memory
        yield most
