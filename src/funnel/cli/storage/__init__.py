"""`funnel storage`."""

from pathlib import Path

import click

from funnel.cli.lazy import Lazy, LazyGroup
from funnel.cli.words import config_option


@config_option
@click.pass_context
def remember(ctx: click.Context, /, config: Path | None) -> None:
    """The settings that all commands below use."""
    ctx.obj = config


storage = LazyGroup(
    name="storage",
    help="Look at, get, put and copy files at URLs, as tasks do.",
    callback=remember,
    params=list(getattr(remember, "__click_params__", [])),
    lazy={
        "stat": Lazy("funnel.cli.storage.stat:stat", "Say how large and how old a file is."),
        "list": Lazy("funnel.cli.storage.list:list_files", "List the files of a directory."),
        "get": Lazy("funnel.cli.storage.get:get", "Copy a file or directory to this machine."),
        "put": Lazy("funnel.cli.storage.put:put", "Copy a file or directory to a URL."),
        "copy": Lazy("funnel.cli.storage.copy:copy", "Copy from one URL to another."),
        "sweep": Lazy("funnel.cli.storage.sweep:sweep", "Remove what broken uploads left."),
        "stat-task": Lazy("funnel.cli.storage.stat_task:stat_task", "Look at a task's files."),
    },
)
