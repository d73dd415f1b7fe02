"""`funnel version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Final

import click

UNKNOWN: Final = "unknown"
NAME: Final = "funnel-tes"


@click.command("version")
def version() -> None:
    """Print the version, and of what it was built where that is known."""
    for name, value in facts().items():
        click.echo(f"{name + ':':<14}{value}")


def facts() -> dict[str, str]:
    """The lines that the Go Funnel prints; a package from an index knows its version only."""
    return {
        "git commit": UNKNOWN,
        "git branch": UNKNOWN,
        "git upstream": UNKNOWN,
        "build date": UNKNOWN,
        "version": _version(),
    }


def _version() -> str:
    try:
        return version_of(NAME)
    except PackageNotFoundError:
        return UNKNOWN
