"""The client that commands use."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funnel.cli.talk import chosen
from funnel.client.http import Client

T = TypeVar("T")


def talk(server: str | None, deed: Callable[[Client], Awaitable[T]]) -> T:
    """What `deed` returns, given a client for the chosen server."""
    return asyncio.run(_talk(chosen(server), deed))


async def _talk(server: str, deed: Callable[[Client], Awaitable[T]]) -> T:
    user = os.environ.get("FUNNEL_SERVER_USER", "")
    password = os.environ.get("FUNNEL_SERVER_PASSWORD", "")
    async with Client(server, user=user, password=password) as client:
        return await deed(client)
