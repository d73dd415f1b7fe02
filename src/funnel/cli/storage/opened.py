"""The storages of the settings, for one command."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import click

from funnel.cli.settings import loaded
from funnel.config import Config
from funnel.plugins import Host, find, names
from funnel.ports import Storage
from funnel.storage.router import Router

T = TypeVar("T")

SIGNALLED: Final = 128
"""Added to the number of a signal, as a shell does."""


def with_storage(config: Path | None, deed: Callable[[Storage], Awaitable[T]]) -> T:
    """
    What `deed` returns, given the storages of the settings; those before the command count.

    Ctrl-C and SIGTERM cancel it, so that nothing half done is left.
    """
    ctx = click.get_current_context(silent=True)
    try:
        return asyncio.run(_with_storage(loaded(config or (ctx.obj if ctx else None)), deed))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(SIGNALLED + signal.SIGTERM) from None


async def _with_storage(config: Config, deed: Callable[[Storage], Awaitable[T]]) -> T:
    working = asyncio.ensure_future(_deed(config, deed))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    return await working


async def _deed(config: Config, deed: Callable[[Storage], Awaitable[T]]) -> T:
    async with _opened(config) as storage:
        return await deed(storage)


@asynccontextmanager
async def _opened(config: Config) -> AsyncGenerator[Storage]:
    host = Host(now=_now, deployment="")
    async with AsyncExitStack() as stack:
        plugins = [find("storage", name) for name in names("storage")]
        yield Router(
            [await stack.enter_async_context(one.make(config.part(one), host)) for one in plugins]
        )


def _now() -> datetime:
    """As in `funnel.app`, which takes a fifth of a second to load."""
    return datetime.now(UTC)
