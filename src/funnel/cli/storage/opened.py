"""The storages of the settings, for one command."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from msgspec import json

from funnel.cli.settings import loaded
from funnel.config import Config
from funnel.plugins import Host, find, names
from funnel.ports import Object, Storage
from funnel.storage.router import Router

T = TypeVar("T")


def with_storage(config: Path | None, deed: Callable[[Storage], Awaitable[T]]) -> T:
    """What `deed` returns, given the storages of the settings; those before the command count."""
    ctx = click.get_current_context(silent=True)
    return asyncio.run(_with_storage(loaded(config or (ctx.obj if ctx else None)), deed))


def shown(found: Object) -> dict[str, str | int]:
    """A file under the names that the Go Funnel prints."""
    return {
        "URL": found.url,
        "Name": found.name or found.url,
        "ETag": found.etag,
        "LastModified": found.last_modified.isoformat() if found.last_modified else "",
        "Size": found.size_bytes,
    }


def print_line(value: object) -> None:
    """JSON in a line."""
    click.echo(json.encode(value).decode())


async def _with_storage(config: Config, deed: Callable[[Storage], Awaitable[T]]) -> T:
    host = Host(now=_never, deployment="", reach=config.outbound.reach)
    async with AsyncExitStack() as stack:
        plugins = [find("storage", name) for name in names("storage")]
        opened = [
            await stack.enter_async_context(one.make(config.part(one), host)) for one in plugins
        ]
        return await deed(Router(opened))


def _never() -> datetime:
    """Storages have no use for the time of day."""
    return datetime.fromtimestamp(0, UTC)
