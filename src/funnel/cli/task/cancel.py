"""`funnel task cancel`."""

import asyncio
from collections.abc import Sequence

import click

from funnel.cli.client import talk
from funnel.cli.talk import server_option
from funnel.client.http import Client
from funnel.core.error import FunnelError


@click.command("cancel")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@server_option
def cancel(ids: Sequence[str], server: str | None) -> None:
    """Cancel tasks; those that have ended stay as they are."""

    async def deed(client: Client) -> list[FunnelError | None]:
        return list(await asyncio.gather(*(_cancelled(client, one) for one in ids)))

    errors = [error for error in talk(server, deed) if error]
    for _ in range(len(ids) - len(errors)):
        click.echo("{}")
    if errors:
        raise FunnelError("; ".join(dict.fromkeys(map(str, errors))))


async def _cancelled(client: Client, task_id: str) -> FunnelError | None:
    """One that cannot be cancelled must not keep the others running."""
    try:
        await client.cancel(task_id)
    except FunnelError as error:
        return error
    return None
