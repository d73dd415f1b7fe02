"""`funnel version`."""

import sys
from pathlib import Path
from typing import Final

import click
from msgspec import json

UNKNOWN: Final = "unknown"
INSTALLED: Final = ".dist-info"
"""Ends the name of the folder in which is what an installer says."""


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
    stamp = Path(__file__).parents[1] / "built.json"
    return json.decode(stamp.read_bytes(), type=dict[str, str]) if stamp.is_file() else {}


def _version() -> str:
    """As `importlib.metadata` finds it, which takes long to load, though."""
    folders = (one for path in sys.path for one in Path(path).glob(f"funnel_tes-*{INSTALLED}"))
    found = next(folders, None)
    return found.name.removesuffix(INSTALLED).partition("-")[2] if found else UNKNOWN
