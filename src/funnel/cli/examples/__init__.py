"""`funnel examples`."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import click
from msgspec import json

from funnel.config.shape import near
from funnel.core.error import NotFound

HERE: Final = "@HERE@"


@click.command("examples")
@click.argument("name", required=False, default="list")
def examples(name: str) -> None:
    """List the example tasks, or print the one called NAME."""
    if name == "list":
        for one in names():
            click.echo(one)
        return
    if name not in names():
        raise NotFound(f"no example {name!r}{near(name, names())}; see funnel examples")
    click.echo(content(name), nl=False)


def names() -> list[str]:
    """Sorted."""
    found = (one.name for one in files(__name__).iterdir())
    return sorted(one.removesuffix(".json") for one in found if one.endswith(".json"))


def content(name: str) -> str:
    """An example as JSON; its outputs go below the current directory."""
    text = (files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    return text.replace(HERE, json.encode(str(Path.cwd())).decode().strip('"'))
