"""The flags of `funnel run` in their order: `--stdin` belongs to the command before it."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click
from click.core import ParameterSource
from msgspec.structs import replace

from funnel.cli.run.given import Given, Kind, Step
from funnel.core.error import Invalid

COMMANDS: Final = frozenset({"sh", "exec"})
STREAMS: Final = frozenset({"stdin", "stdout", "stderr"})
WORDS: Final = "words"

Flag = tuple[str, str]


class RunCommand(click.Command):
    """Remembers in which order commands and their files were given; see `given`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[WORDS] = list(_in_order(values, [str(param.name) for param in order]))
        return super().parse_args(ctx, args)


def given(ctx: click.Context, base: Given | None = None) -> Given:
    """One task from the flags of a command line, over those of `base`."""
    base = base or Given()
    positional = _positional(ctx.params["command"])
    own = [*positional, *ctx.meta[WORDS]]
    before = [] if any(name in COMMANDS for name, _ in own) else list(base.steps)
    said = {
        name: ctx.params[name]
        for name in Given.__struct_fields__
        if name in ctx.params and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    return replace(base, steps=steps(own, before), **said)


def steps(flags: Iterable[Flag], before: Sequence[Step] = ()) -> tuple[Step, ...]:
    """The executors that `--sh` and `--exec` begin, each with the files that follow it."""
    found = list(before)
    for name, value in flags:
        if name in COMMANDS:
            found.append(Step(kind=Kind(name), command=value))
        elif not found:
            raise Invalid(f"--{name} belongs to a command: write it after a --sh or --exec")
        else:
            found[-1] = replace(found[-1], **{name: value})
    return tuple(found)


def words(line: str) -> list[str]:
    """A line as a POSIX shell splits it. Raises `Invalid`."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise Invalid(f"cannot split {line!r} as a shell does: {str(error).lower()}") from None


def _in_order(values: Mapping[str, Any], order: Sequence[str]) -> Iterator[Flag]:
    left = {name: iter(values.get(name) or ()) for name in COMMANDS | STREAMS}
    for name in order:
        if name in left:
            yield name, next(left[name])


def _positional(given: Sequence[str]) -> list[Flag]:
    if len(given) > 1:
        raise Invalid(
            f"one command at most, but these are more: {', '.join(map(repr, given[1:]))};"
            " quote the command, and write --in, --out, --env and --tag as KEY=VALUE"
        )
    return [("sh", one) for one in given]
