"""One task per line of a file."""

from collections.abc import Iterator
from pathlib import Path

import click

from funnel.cli.run.flags import given, words
from funnel.cli.run.given import Given
from funnel.core.error import FunnelError, Invalid

NOT_ON_LINES = ("scatter", "show", "wait", "wait_for", "server")


def scattered(ctx: click.Context, base: Given, files: tuple[str, ...]) -> Iterator[Given]:
    """
    The tasks of all lines: flags, as on the command line, over those of the command.

    A line without a command of its own runs the command's; a flag on a line replaces all of
    that name in the command. Raises `Invalid` with file and line.
    """
    for file in files:
        for number, line in enumerate(text_of(file).splitlines(), 1):
            if line.strip():
                try:
                    yield _line(ctx, base, line)
                except (FunnelError, click.UsageError) as error:
                    raise Invalid(f"{file} line {number}: {_message(error)}") from error


def text_of(file: str) -> str:
    """Raises `Invalid` for a file that cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid(f"cannot read {file}: not text in UTF-8") from None


def _line(ctx: click.Context, base: Given, line: str) -> Given:
    own = ctx.command.make_context(
        "line", words(line), token_normalize_func=ctx.token_normalize_func
    )
    for name in NOT_ON_LINES:
        if own.params.get(name):
            raise Invalid(f"--{name.replace('_', '-')} belongs to the command, not to a line")
    return given(own, base)


def _message(error: Exception) -> str:
    return error.format_message() if isinstance(error, click.UsageError) else str(error)
