"""`funnel worker token`."""

from datetime import timedelta
from typing import Final

import click

from funnel.app import keys_of
from funnel.auth.keys import read
from funnel.auth.tokens import Tokens
from funnel.cli.settings import SettingsCommand
from funnel.cli.words import config_option
from funnel.config import Config
from funnel.core.duration import parse, shown
from funnel.core.error import Invalid
from funnel.core.task import TaskId
from funnel.net.clock import now

LONGEST: Final = timedelta(days=365)


@click.command("token", cls=SettingsCommand)
@config_option
@click.argument("task_id")
@click.option("--attempt", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--lasts", default="1h", show_default=True, help="For how long it is good.")
def worker_token(config: Config, task_id: str, attempt: int, lasts: str) -> None:
    """
    Print a token with which a worker may do one attempt at a task, and nothing else.

    For scripts that start workers. It is signed with the keys of the server, so this is done on
    its machine, with its settings, by who may read them.
    """
    lifetime = parse(lasts)
    if not timedelta(seconds=1) <= lifetime <= LONGEST:
        raise Invalid(f"--lasts {lasts} is not between 1s and {shown(LONGEST)}")
    tokens = Tokens(read(keys_of(config)), now)
    click.echo(tokens.of_worker(TaskId(task_id), attempt, lifetime).reveal())
