"""`funnel config show`."""

import click
import yaml
from msgspec import json

from funnel.cli.settings import SettingsCommand
from funnel.cli.words import config_option
from funnel.config import Config, show


@click.command("show", cls=SettingsCommand)
@config_option
@click.option("--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def show_settings(config: Config, output: str) -> None:
    """
    Print the settings that count, secrets hidden.

    They come from the file, the environment and the flags, which are those of
    `funnel server run`.
    """
    found = show(config)
    if output == "json":
        click.echo(json.format(json.encode(found), indent=2).decode())
    else:
        # The stubs leave the type of a line's width open.
        text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True)  # pyright: ignore[reportUnknownMemberType]
        click.echo(text, nl=False)
