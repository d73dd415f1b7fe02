"""`funnel storage stat`."""

from pathlib import Path

import click

from funnel.cli.storage.opened import print_line, shown, with_storage
from funnel.cli.words import config_option


@click.command("stat")
@click.argument("url")
@config_option
def stat(url: str, config: Path | None) -> None:
    """Say how large and how old the file at URL is."""
    print_line(shown(with_storage(config, lambda storage: storage.stat(url))))
