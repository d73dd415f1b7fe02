"""Flags for settings: one for each, named as in the settings file."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_origin

import click

from funnel.config import Config, load
from funnel.config.known import KINDS, root, sections
from funnel.config.leaf import bare, is_secret
from funnel.config.shape import Key, Shape, is_section, sections_of, shape
from funnel.core.value import Value


class Flag(Value):
    """The flag of a setting: `path` as in `Server.HTTPPort`, `name` as click passes it."""

    path: str
    key: Key

    @property
    def name(self) -> str:
        return self.path.replace(".", "_").lower()

    def option(self) -> click.Option:
        kind = bare(self.key.type)
        switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if kind is bool else {}
        return click.Option(
            [f"--{self.path}", self.name],
            multiple=get_origin(kind) is tuple,
            metavar=_metavar(kind),
            **switch,
        )


class SettingsCommand(click.Command):
    """Has a flag for each setting, and gives its function the settings as `config`."""

    @cached_property
    def flags(self) -> tuple[Flag, ...]:
        return tuple(_flags(root(sections()), ()))

    @cached_property
    def _options(self) -> list[click.Parameter]:
        return [flag.option() for flag in self.flags]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*self._options, *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        given = {flag.path: ctx.params.pop(flag.name) for flag in self.flags}
        ctx.params["config"] = loaded(ctx.params.pop("config"), given)
        return super().invoke(ctx)


def loaded(
    path: Path | None, given: Mapping[str, Any] | None = None, kinds: Sequence[str] = KINDS
) -> Config:
    """Settings from file, environment and flags (None: not given); warns on standard error."""
    said = {name: value for name, value in (given or {}).items() if value not in (None, ())}
    config = load(path, os.environ, said, kinds)
    for warning in config.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return config


def _flags(known: Shape, path: tuple[str, ...]) -> Iterator[Flag]:
    """Not for secrets: everybody on a machine may read its command lines."""
    for key in known.values():
        here = (*path, key.display)
        if is_section(key.type):
            yield from _flags(shape(key.type), here)
        elif not sections_of(key.type) and not is_secret(key.type):
            yield Flag(".".join(here), key)


def _metavar(kind: Any) -> str:
    names = {bool: "BOOL", int: "N", float: "N"}
    return names.get(kind, "LIST" if get_origin(kind) is tuple else "TEXT")
