"""Doing the same to several tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import click

from funnel.cli.client import talk
from funnel.client.http import AsyncClient
from funnel.core.error import FunnelError


def each(
    server: str | None, ids: Sequence[str], deed: Callable[[AsyncClient, str], Awaitable[None]]
) -> None:
    """
    Do it to all of them, printing `{}` for each that it is done to.

    One to which it cannot be done must not keep the others from it. Raises `FunnelError`
    with what was wrong.
    """

    async def all_deeds(client: AsyncClient) -> list[FunnelError | None]:
        return list(await asyncio.gather(*(_tried(deed(client, one)) for one in ids)))

    errors = [error for error in talk(server, all_deeds) if error]
    for _ in range(len(ids) - len(errors)):
        click.echo("{}")
    if errors:
        raise FunnelError("; ".join(dict.fromkeys(map(str, errors))))


async def _tried(deed: Awaitable[None]) -> FunnelError | None:
    try:
        await deed
    except FunnelError as error:
        return error
    return None
