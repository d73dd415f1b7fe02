"""`funnel storage stat`."""

from pathlib import Path

import click

from funnel.cli.storage.opened import with_storage
from funnel.cli.storage.shown import output_option, print_one
from funnel.cli.words import config_option


@click.command("stat")
@click.argument("url")
@config_option
@output_option
def stat(url: str, config: Path | None, output: str) -> None:
    """Say how large and how old the file at URL is."""
    print_one(with_storage(config, lambda storage: storage.stat(url)), output)
