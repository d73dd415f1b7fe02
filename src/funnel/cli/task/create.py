"""`funnel task create`."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from funnel.cli.client import talk
from funnel.cli.specs import read_specs, specs_of
from funnel.cli.talk import server_option
from funnel.client.http import AsyncClient
from funnel.core.task import Spec, TaskId


@click.command("create")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@server_option
def create(files: Sequence[Path], server: str | None) -> None:
    """
    Create the tasks in FILES and print their ids.

    Each file holds one task in JSON, or several one after another; so does standard input,
    when something is piped in. Nothing is created unless all of them are valid.
    """
    specs: list[Spec] = []
    if not sys.stdin.isatty():
        specs += read_specs(sys.stdin.buffer.read(), where="standard input")
    for file in files:
        specs += specs_of(file)
    if not specs:
        raise click.UsageError("no task given: name a file, or pipe JSON into the command")

    async def deed(client: AsyncClient) -> list[TaskId]:
        return list(await asyncio.gather(*(client.create(spec) for spec in specs)))

    for task_id in talk(server, deed):
        click.echo(task_id)
