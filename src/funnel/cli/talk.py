"""Which server a command talks to."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = "http://localhost:8000"


def server_option(command: F) -> F:
    """`-S/--server`, on a command or on the group before it."""
    return click.option(
        "-S",
        "--server",
        "server",
        metavar="URL",
        help=f"The server; default: FUNNEL_SERVER, or {DEFAULT}.",
    )(command)


def chosen(server: str | None) -> str:
    """The server that was named for a command, for its group, or in the environment."""
    ctx = click.get_current_context(silent=True)
    named = server or (ctx.obj if ctx else None) or os.environ.get("FUNNEL_SERVER")
    return str(named or DEFAULT)
