"""`funnel server run`."""

import asyncio

import click
import uvloop

from funnel.cli.settings import SettingsCommand
from funnel.cli.words import config_option
from funnel.config import Config
from funnel.serving import serve


@click.command("run", cls=SettingsCommand)
@config_option
def run(config: Config) -> None:
    """
    Serve TES until SIGTERM or Ctrl-C.

    Containers outlive the server: the next one with the same work directory finds them and
    goes on. Each setting has a flag; those of the settings file and the environment
    (FUNNEL__SERVER__HTTP_PORT=8000) count where no flag is given.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config))
