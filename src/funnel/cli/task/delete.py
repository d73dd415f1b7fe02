"""`funnel task delete`."""

from collections.abc import Sequence

import click

from funnel.cli.talk import server_option
from funnel.cli.task.each import each
from funnel.client.http import AsyncClient


@click.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@server_option
def delete(ids: Sequence[str], server: str | None) -> None:
    """
    Delete tasks that have ended, with all that the server knows of them; for administrators.

    The files that they have stored stay where they are. Not every TES server can do this.
    """
    each(server, ids, AsyncClient.delete)
