"""`funnel worker run`."""

import asyncio
import base64
import binascii
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from funnel.cli.ending import ending, exit_code
from funnel.cli.output import print_json
from funnel.cli.screen import Screen
from funnel.cli.settings import SettingsCommand
from funnel.cli.specs import read_specs, specs_of
from funnel.cli.words import config_option
from funnel.client.tail import Tail
from funnel.config import Config
from funnel.core.error import Busy, Fenced, Invalid, Unavailable
from funnel.core.state import State, is_final
from funnel.core.task import Spec, Task, TaskId
from funnel.logs import set_up
from funnel.workers import Ended, Stopped, run_remote_worker, run_worker

AGAIN: Final = 75
"""The attempt is another's, or another follows, or the server is out of reach."""
STOPPED: Final = 143
"""As a shell has it of what SIGTERM has ended."""


@click.command("run", cls=SettingsCommand)
@config_option
@click.option("-t", "--taskID", "task_id", metavar="ID", help="A task of a server.")
@click.option("-f", "--taskFile", "file", type=click.Path(path_type=Path), help="A task in JSON.")
@click.option("-b", "--taskBase64", "encoded", metavar="TEXT", help="The same, in base64.")
@click.option("--output", type=click.Choice(["json"]), help="Print the task as it ended.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    config: Config,
    output: str | None,
    **which: Any,
) -> None:
    """
    Run one task on this machine and exit with its exit code.

    With --taskID it is one of the server at RPCClient.ServerAddress, which hears of all that
    happens; 75 says that this attempt is another worker's, or another follows, or the server is
    out of reach, and 143 that the worker was stopped. A worker token is taken from
    FUNNEL_WORKER_TOKEN, or from the file that FUNNEL_WORKER_TOKEN_FILE names. Otherwise no server
    is needed, and the commands' output is printed when the task has ended.
    """
    given = [name for name, value in which.items() if value is not None]
    if len(given) != 1:
        raise click.UsageError("name the task: either --taskID, --taskFile or --taskBase64")
    task_id = which["task_id"]
    logger = config.logger
    set_up(
        level=logger.level,
        formatter=logger.formatter,
        output_file=logger.output_file,
        task=task_id or "",
    )
    if task_id:
        ctx.exit(_for_server(config, TaskId(task_id), output))
    ended = asyncio.run(run_worker(config, _spec(which["file"], which["encoded"])))
    if output == "json":
        print_json(ended.task)
    else:
        _print(ended.task)
        click.echo(ending(ended.task), err=True)
    ctx.exit(_code(ended))


def _for_server(config: Config, task_id: TaskId, output: str | None) -> int:
    try:
        ended = asyncio.run(run_remote_worker(config, task_id, os.environ))
    except Stopped as error:
        return _failed(error, STOPPED)
    except (Busy, Fenced, Unavailable) as error:
        return _failed(error, AGAIN)
    if output == "json":
        print_json(ended.task)
    click.echo(ending(ended.task), err=True)
    return _code(ended)


def _failed(error: Exception, code: int) -> int:
    click.echo(f"Error: {error}", err=True)
    return code


def _code(ended: Ended) -> int:
    if ended.stopped and ended.task.state is not State.COMPLETE:
        return STOPPED
    return exit_code(ended.task) if is_final(ended.task.state) else AGAIN


def _spec(file: Path | None, encoded: str | None) -> Spec:
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
