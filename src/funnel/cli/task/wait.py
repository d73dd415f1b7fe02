"""`funnel task wait`."""

import asyncio
from collections.abc import Sequence

import click

from funnel.cli.client import talk
from funnel.cli.talk import server_option
from funnel.client.http import AsyncClient
from funnel.core.error import FunnelError
from funnel.core.query import View
from funnel.core.state import State


@click.command("wait")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@server_option
def wait(ids: Sequence[str], server: str | None) -> None:
    """Wait until all tasks have ended; fails when one of them has failed."""

    async def deed(client: AsyncClient) -> list[State]:
        tasks = await asyncio.gather(*(client.wait(one, view=View.MINIMAL) for one in ids))
        return [task.state for task in tasks]

    states = zip(ids, talk(server, deed), strict=True)
    failed = [(one, state) for one, state in states if state is not State.COMPLETE]
    if failed:
        raise FunnelError(
            "; ".join(f"Task {one} exited with state {state}" for one, state in failed)
        )
