"""What commands print: JSON for programs, tables for people."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import json

from funnel.core.task import Task
from funnel.wire.message import camel

if TYPE_CHECKING:
    from funnel.client.answer import Json

MAPS: Final = frozenset({"tags", "env", "metadata", "backend_parameters"})
"""Fields whose names below are the user's own."""

FIRST: Final = frozenset({"id", "state"})


def shown(value: "Json") -> "Json":
    """Plain data with names in camel case and without what is empty or 0, but for exit codes."""
    if isinstance(value, dict):
        order = sorted(value, key=lambda key: key not in FIRST)
        pairs = ((key, value[key] if key in MAPS else shown(value[key])) for key in order)
        return {camel(key): one for key, one in pairs if key == "exit_code" or one}
    if isinstance(value, list):
        return [shown(one) for one in value]
    return value


def print_json(value: Any) -> None:
    plain: Json = json.decode(json.encode(value))
    click.echo(json.format(json.encode(shown(plain)), indent=2).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be; control characters are made harmless."""
    lines = [[harmless(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def for_people(output: str | None) -> bool:
    """Whether to print a table: as asked, or else when somebody is looking."""
    return output == "table" or (output is None and sys.stdout.isatty())


def task_row(task: Task) -> list[str]:
    created = (
        task.creation_time.astimezone().strftime("%Y-%m-%d %H:%M") if task.creation_time else ""
    )
    return [task.id, str(task.state), created, task.name]


def harmless(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
