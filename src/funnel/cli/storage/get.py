"""`funnel storage get`."""

from pathlib import Path

import click

from funnel.cli.storage.opened import print_line, shown, with_storage
from funnel.cli.words import config_option


@click.command("get")
@click.argument("url")
@click.argument("path", type=click.Path(path_type=Path))
@config_option
def get(url: str, path: Path, config: Path | None) -> None:
    """Copy the file or directory at URL to PATH."""
    print_line(shown(with_storage(config, lambda storage: storage.get(url, path.absolute()))))
