"""Which server a command talks to."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from funnel.client.address import DEFAULT

F = TypeVar("F", bound=Callable[..., Any])


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
    """The server that was named for a command or for its group; else none."""
    ctx = click.get_current_context(silent=True)
    return server or (ctx.obj if ctx else None) or ""
