"""`funnel storage sweep`."""

from pathlib import Path

import click
from msgspec import json

from funnel.cli.storage.opened import with_storage
from funnel.cli.words import config_option
from funnel.core.duration import parse


@click.command("sweep")
@click.argument("url")
@click.option(
    "--age", default="24h", show_default=True, help="Leave what began less than this ago."
)
@config_option
def sweep(url: str, age: str, config: Path | None) -> None:
    """
    Remove parts of uploads to URL that were broken off; with a slash at its end, of all below.

    They cost money, and no list of files shows them.
    """
    older = parse(age)
    count = with_storage(config, lambda storage: storage.sweep(url, older))
    click.echo(json.encode({"URL": url, "Removed": count}))
