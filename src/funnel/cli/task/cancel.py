"""`funnel task cancel`."""

from collections.abc import Sequence

import click

from funnel.cli.talk import server_option
from funnel.cli.task.each import each
from funnel.client.http import AsyncClient


@click.command("cancel")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@server_option
def cancel(ids: Sequence[str], server: str | None) -> None:
    """Cancel tasks; those that have ended stay as they are."""
    each(server, ids, AsyncClient.cancel)
