"""Commands that are loaded when they are called, and flags whose names are read generously."""

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

import click

from funnel.core.value import Value


class Lazy(Value):
    """Where a command is, as module:name, and its line in the help."""

    target: str
    help: str

    def load(self) -> click.Command:
        module, _, name = self.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def same_name(token: str) -> str:
    """
    What is left of the name of a flag when case and separators do not matter.

    >>> same_name("Server.HTTPPort") == same_name("server-http-port")
    True
    >>> same_name("I") == same_name("i")
    False
    """
    return token if len(token) == 1 else re.sub(r"[-_.]", "", token).lower()


SETTINGS: Final[Mapping[str, Any]] = {
    "token_normalize_func": same_name,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}


class LazyGroup(click.Group):
    """Knows its commands by name and help; `aliases` are other names for them."""

    def __init__(
        self,
        *,
        lazy: Mapping[str, Lazy],
        aliases: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(context_settings=dict(SETTINGS), **rest)
        self._lazy = lazy
        self._aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        name = self._aliases.get(cmd_name, cmd_name)
        return self.load(name) if name in self._lazy else None

    def load(self, name: str) -> click.Command:
        """The command of that name, which is there."""
        return self._lazy[name].load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.help) for name, one in self._lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return (command.name if command else name), command, rest
