"""Requests to stores that speak HTTP, one try each: what is alike whoever is asked."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from funnel.core.value import Value
from funnel.net.client import Answer
from funnel.storage.web import heard

BRIEF: Final = 60.0
"""Seconds for an answer without the content of a file."""


class Call(Value, kw_only=True):
    """
    One request on behalf of `url`, which errors name; the `deed` is as in "reading".

    The `path` is encoded, and below that of the door.
    """

    url: str
    deed: str
    path: str = ""
    method: str = "GET"
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes | memoryview | None = None
    also: frozenset[int] = frozenset()
    """Statuses that are wanted, beside those of success."""
    brief: bool = True
    """Whether neither the request nor the answer has the content of a file."""

    def wants(self, status: int) -> bool:
        return 200 <= status < 300 or status in self.also


class Caller(ABC):
    """At the door of one account or bucket."""

    @abstractmethod
    async def answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """One that the call wants."""

    @asynccontextmanager
    async def ask(self, call: Call) -> AsyncGenerator[Answer]:
        """An answer that the call wants. Raises as `ports.Transfer` does."""
        async with AsyncExitStack() as stack:
            yield await self.answer(call, stack)

    async def headers(self, call: Call) -> Mapping[str, str]:
        """Of the answer, whose content is short."""
        return (await self._whole(call))[0]

    async def content(self, call: Call) -> bytes:
        """Of the answer, which is short."""
        return (await self._whole(call))[1]

    async def _whole(self, call: Call) -> tuple[Mapping[str, str], bytes]:
        async with self.ask(call) as answer:
            with heard(call.url, call.deed):
                async with asyncio.timeout(BRIEF):
                    return answer.headers, await answer.read()


async def begun(
    call: Call, asking: AbstractAsyncContextManager[Answer], stack: AsyncExitStack, check: str = ""
) -> Answer:
    """Whatever is answered, as soon as it begins to."""
    with heard(call.url, call.deed, check):
        if not call.brief:
            return await stack.enter_async_context(asking)
        async with asyncio.timeout(BRIEF):
            return await stack.enter_async_context(asking)
