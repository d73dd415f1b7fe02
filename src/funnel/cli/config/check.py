"""`funnel config check`."""

from pathlib import Path
from typing import Any

import click

from funnel.cli.settings import SettingsCommand
from funnel.cli.words import config_option
from funnel.config import Config


class CheckCommand(SettingsCommand):
    """Takes the settings file without a flag, too."""

    def invoke(self, ctx: click.Context) -> Any:
        file, flagged = ctx.params["file"], ctx.params["config"]
        if file and flagged:
            raise click.UsageError("name one settings file: either FILE or --config")
        ctx.params |= {"file": file or flagged, "config": file or flagged}
        return super().invoke(ctx)


@click.command("check", cls=CheckCommand)
@config_option
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(config: Config, file: Path | None) -> None:
    """
    Say what is wrong with the settings; what is not supported yet is a warning.

    They come from the FILE, the environment and the flags, which are those of
    `funnel server run`.
    """
    del config
    click.echo(f"{file or 'this'} is fine")
