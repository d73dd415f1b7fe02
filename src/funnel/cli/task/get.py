"""`funnel task get`."""

import asyncio
from collections.abc import Sequence

import click

from funnel.cli.client import talk
from funnel.cli.output import print_json
from funnel.cli.talk import server_option
from funnel.cli.words import view_option
from funnel.client.http import AsyncClient
from funnel.core.query import View
from funnel.core.task import Task


@click.command("get")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@view_option("full")
@server_option
def get(ids: Sequence[str], view: str, server: str | None) -> None:
    """Print tasks as JSON."""

    async def deed(client: AsyncClient) -> list[Task]:
        return list(await asyncio.gather(*(client.get(one, View(view.upper())) for one in ids)))

    for task in talk(server, deed):
        print_json(task)
