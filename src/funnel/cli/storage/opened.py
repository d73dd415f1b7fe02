"""The storages of the settings, for one command."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click
import uvloop

from funnel.cli.output import harmless
from funnel.cli.settings import loaded
from funnel.config import Config
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.storage.patience import Onlooker
from funnel.storage.router import Router, opened
from funnel.storage.threads import spare_threads

T = TypeVar("T")

SIGNALLED: Final = 128
"""Added to the number of a signal, as a shell does."""


def _tell(text: str) -> None:
    click.echo(harmless(text), err=True)


def with_storage(
    config: Path | None,
    deed: Callable[[Router], Awaitable[T]],
    tell: Callable[[str], None] = _tell,
) -> T:
    """
    What `deed` returns, given the storages of the settings; those before the command count.

    Told is why it takes long, where a store does not answer. Ctrl-C and SIGTERM cancel it, so that
    nothing half done is left.
    """
    ctx = click.get_current_context(silent=True)
    settings = loaded(config or (ctx.obj if ctx else None), kinds=("storage",))
    try:
        with (
            Onlooker(tell).looking_on(),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_with_storage(settings, deed))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(SIGNALLED + signal.SIGTERM) from None


async def _with_storage(config: Config, deed: Callable[[Router], Awaitable[T]]) -> T:
    working = asyncio.ensure_future(_deed(config, deed))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    return await working


async def _deed(config: Config, deed: Callable[[Router], Awaitable[T]]) -> T:
    spare_threads()
    host = Host(now=now, deployment="", reach=config.outbound.reach)
    async with opened(config.part, host) as storage:
        return await deed(storage)
