"""Options that several commands have."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from funnel.core.query import View
from funnel.core.state import State

F = TypeVar("F", bound=Callable[..., Any])

VIEWS = [view.value.lower() for view in View]
STATES = [state.value.lower() for state in State]


def view_option(default: str) -> Callable[[F], F]:
    return click.option(
        "-v",
        "--view",
        type=click.Choice(VIEWS, case_sensitive=False),
        default=default,
        show_default=True,
        help="How much of each task.",
    )


def config_option(command: F) -> F:
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A settings file (YAML).",
    )(command)


def output_option(*choices: str) -> Callable[[F], F]:
    return click.option(
        "--output",
        type=click.Choice(choices, case_sensitive=False),
        help="Default: a table on a terminal, JSON elsewhere.",
    )


def pairs(flag: str, given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """KEY=VALUE, cut at the first equals sign; a value may be empty and hold anything."""
    return tuple(pair(flag, one) for one in given)


def pair(flag: str, given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{flag} needs KEY=VALUE, not {given!r}")
    return key, value
