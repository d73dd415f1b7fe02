"""Files of a store as they are printed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

import click
from msgspec import json

from funnel.cli.output import harmless
from funnel.ports import Object

F = TypeVar("F", bound=Callable[..., Any])

FORMS: Final = ("json", "text")
UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")
AT_ONCE: Final = 1000
"""Files of a list whose lines are made before they are printed."""


def output_option(command: F) -> F:
    return click.option(
        "--output",
        type=click.Choice(FORMS, case_sensitive=False),
        default=FORMS[0],
        show_default=True,
        help="JSON for programs, text for people.",
    )(command)


def size(count: int) -> str:
    """
    Bytes for people.

    >>> size(0), size(1023), size(1536), size(20 << 30)
    ('0 B', '1023 B', '1.5 KiB', '20.0 GiB')
    """
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(UNITS))
    return f"{count / 1024**power:.1f} {UNITS[power - 1]}"


def print_one(found: Object, form: str) -> None:
    """A line: JSON, or for people its size, when it was changed, and its URL."""
    click.echo(_row(found, found.url) if form == "text" else json.encode(_fields(found)).decode())


def print_list(found: Sequence[Object], form: str) -> None:
    """An array of JSON in one line, or for people a line of each with its name in the list."""
    some = [found[at : at + AT_ONCE] for at in range(0, len(found), AT_ONCE)]
    if form == "text":
        for part in some:
            click.echo("\n".join(_row(one, one.name) for one in part))
        return
    click.echo("[", nl=False)
    for number, part in enumerate(some):
        array = json.encode([_fields(one) for one in part]).decode()
        click.echo("," * bool(number) + array[1:-1], nl=False)
    click.echo("]")


def _fields(found: Object) -> dict[str, str | int]:
    """Under the names that the Go Funnel prints."""
    return {
        "URL": _utf8(found.url),
        "Name": _utf8(found.name or found.url),
        "ETag": found.etag,
        "LastModified": _told(found.last_modified) if found.last_modified else "",
        "Size": found.size_bytes,
    }


def _row(found: Object, name: str) -> str:
    when = _minute(found.last_modified) if found.last_modified else ""
    return f"{size(found.size_bytes):>10}  {when:16}  {harmless(_utf8(name))}"


# Files of one directory are often of one moment.
@lru_cache
def _told(moment: datetime) -> str:
    return moment.isoformat()


@lru_cache
def _minute(moment: datetime) -> str:
    """Of this place."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _utf8(text: str) -> str:
    """Names of this machine's files may hold other bytes."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
