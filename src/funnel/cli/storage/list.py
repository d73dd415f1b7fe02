"""`funnel storage list`."""

from pathlib import Path

import click

from funnel.cli.storage.opened import with_storage
from funnel.cli.storage.shown import output_option, print_list
from funnel.cli.words import config_option


@click.command("list")
@click.argument("url")
@config_option
@output_option
def list_files(url: str, config: Path | None, output: str) -> None:
    """List all files below URL."""
    print_list(with_storage(config, lambda storage: storage.list_objects(url)), output)
