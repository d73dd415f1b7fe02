"""`funnel storage list`."""

from pathlib import Path

import click

from funnel.cli.storage.opened import print_line, shown, with_storage
from funnel.cli.words import config_option


@click.command("list")
@click.argument("url")
@config_option
def list_files(url: str, config: Path | None) -> None:
    """List all files below URL."""
    found = with_storage(config, lambda storage: storage.list_objects(url))
    print_line([shown(one) for one in found])
