"""`funnel version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from importlib.resources import files
from typing import Final

import click
from msgspec import json

UNKNOWN: Final = "unknown"
NAME: Final = "funnel-tes"


@click.command("version")
def version() -> None:
    """Print the version, and of what it was built where that is known."""
    for name, value in facts().items():
        click.echo(f"{name + ':':<14}{value}")


def facts() -> dict[str, str]:
    """The lines that the Go Funnel prints; only what was built of a checkout knows its commit."""
    return {
        "git commit": UNKNOWN,
        "git branch": UNKNOWN,
        "git upstream": UNKNOWN,
        "build date": UNKNOWN,
        **_built(),
        "version": _version(),
    }


def _built() -> dict[str, str]:
    stamp = files("funnel") / "built.json"
    return json.decode(stamp.read_bytes(), type=dict[str, str]) if stamp.is_file() else {}


def _version() -> str:
    try:
        return version_of(NAME)
    except PackageNotFoundError:
        return UNKNOWN
