"""`funnel worker run`."""

import asyncio
import base64
import binascii
import sys
from pathlib import Path

import click

from funnel.app import run_worker
from funnel.cli.ending import ending, exit_code
from funnel.cli.output import print_json
from funnel.cli.screen import Screen
from funnel.cli.settings import SettingsCommand
from funnel.cli.specs import read_specs, specs_of
from funnel.cli.words import config_option
from funnel.client.tail import Tail
from funnel.config import Config
from funnel.core.error import Invalid
from funnel.core.task import Spec, Task
from funnel.logs import set_up


@click.command("run", cls=SettingsCommand)
@config_option
@click.option("-f", "--taskFile", "file", type=click.Path(path_type=Path), help="A task in JSON.")
@click.option("-b", "--taskBase64", "encoded", metavar="TEXT", help="The same, in base64.")
@click.option("--output", type=click.Choice(["json"]), help="Print the task as it ended.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    config: Config,
    file: Path | None,
    encoded: str | None,
    output: str | None,
) -> None:
    """
    Run one task on this machine and exit with its exit code.

    Its commands' output is printed when it has ended.
    """
    spec = _spec(file, encoded)
    logger = config.logger
    set_up(level=logger.level, formatter=logger.formatter, output_file=logger.output_file)
    task = asyncio.run(run_worker(config, spec))
    if output == "json":
        print_json(task)
    else:
        _print(task)
        click.echo(ending(task), err=True)
    ctx.exit(exit_code(task))


def _spec(file: Path | None, encoded: str | None) -> Spec:
    if (file is None) == (encoded is None):
        raise click.UsageError("name the task: either --taskFile or --taskBase64")
    specs = specs_of(file) if file else read_specs(_decoded(encoded or ""), where="--taskBase64")
    if len(specs) != 1:
        raise Invalid(f"{len(specs)} tasks are given; a worker runs one")
    return specs[0]


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"--taskBase64 is not base64: {error}") from None


def _print(task: Task) -> None:
    screen = Screen(sys.stdout, sys.stderr)
    for piece in Tail().see(task):
        if piece.stream is not None:
            screen.print(piece)
