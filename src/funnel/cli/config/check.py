"""`funnel config check`."""

from pathlib import Path

import click

from funnel.cli.settings import loaded


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say what is wrong with a settings FILE; what is not supported yet is a warning."""
    loaded(file)
    click.echo(f"{file} is fine")
