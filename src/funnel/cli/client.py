"""The client that commands use."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funnel.cli.talk import chosen
from funnel.client.http import AsyncClient

T = TypeVar("T")


def talk(server: str | None, deed: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """What `deed` returns, given a client for the chosen server."""
    return asyncio.run(_talk(chosen(server), deed))


async def _talk(server: str, deed: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async with AsyncClient(server) as client:
        return await deed(client)
