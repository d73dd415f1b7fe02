"""Where settings are written beside a file: environment variables, flags. All give text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from funnel.config.leaf import Raw, items

Tree: TypeAlias = Mapping[str, Raw]
Flags: TypeAlias = Mapping[str, str | Sequence[str]]
"""Values by dotted path, as in `Server.HTTPPort`."""

PREFIX: Final = "FUNNEL__"


def from_environment(environ: Mapping[str, str]) -> Tree:
    """`FUNNEL__SERVER__HTTP_PORT=80` says `Server.HTTPPort`."""
    return _nested(
        (name.removeprefix(PREFIX).split("__"), value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX)
    )


def from_flags(flags: Flags) -> Tree:
    return _nested(
        (path.split("."), value if isinstance(value, str) else _flattened(value))
        for path, value in flags.items()
    )


def _flattened(values: Sequence[str]) -> list[Raw]:
    """A flag for a list may be repeated, and each time hold several items."""
    return [item for value in values for item in items(value)]


def _nested(given: Iterator[tuple[list[str], Raw]]) -> Tree:
    tree: dict[str, Raw] = {}
    for path, value in given:
        at = tree
        for name in path[:-1]:
            below = at.setdefault(name, {})
            if not isinstance(below, dict):
                break
            at = below
        at[path[-1]] = value
    return tree
