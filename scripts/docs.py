"""Writes docs/reference/ from settings classes and commands; `docs.py --check` judges it."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, get_origin

import click

from funnel.cli import funnel
from funnel.cli.lazy import LazyGroup
from funnel.cli.settings import SettingsCommand
from funnel.config.known import sections
from funnel.config.leaf import bare
from funnel.config.reference import NOT_YET
from funnel.config.sections import Top
from funnel.config.shape import Key, is_section, list_of, plain, sections_of, shape
from funnel.core.duration import shown
from funnel.core.secret import Secret
from funnel.core.value import Value

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
MADE = "<!-- made by scripts/docs.py: change the code, then run it -->\n"

CONFIGURATION = f"""{MADE}
# Settings

Settings come from a YAML file (`funnel server run --config FILE`), from the environment and from
flags. Flags win over the environment, which wins over the file, which wins over the defaults;
a list replaces the list before it.

The same setting, four times:

```yaml
Server:
  HTTPPort: 8000
```

```yaml
server: {{http_port: 8000}}
```

```
FUNNEL__SERVER__HTTP_PORT=8000
```

```
--Server.HTTPPort 8000
```

* Names are the same in any case, with or without `_` and `-`; in flags also with `.` or `-` between
  section and setting.
* Durations are `10s`, `5m`, `1h30m`, `250ms`, or seconds. `{{duration: 60s}}` is read as well.
  Where a wait may be without end, `{{disabled: true}}` or a negative duration say so.
* Lists in the environment and in flags are separated by commas, or written as a JSON array; a
  flag for a list can be repeated.
* A name that is not known is an error. `funnel config check FILE` says what is wrong,
  `funnel config show` prints what counts.

Settings of the Go Funnel that are not supported yet are accepted, and each is named in a warning:
{{not_yet}}.
"""

COMMANDS = f"""{MADE}
# Commands

Names of flags are the same in any case, and `-`, `_` and `.` do not matter:
`--Server.HTTPPort` is `--server-http-port`. Errors are one line on standard error, and exit code 1.

Commands that talk to a server take `-S/--server URL`, or else `FUNNEL_SERVER`, or else
http://localhost:8000; `FUNNEL_SERVER_USER` and `FUNNEL_SERVER_PASSWORD`, or `FUNNEL_SERVER_TOKEN`,
say who is asking, and `FUNNEL_SERVER_CA_FILE` names a file with the authorities to trust for https.

Tasks are printed as the Go Funnel's commands print them: names in camelCase (`creationTime`), what
is empty left out. Files with tasks may have the names of TES (`creation_time`) or these.
"""


def main() -> int:
    pages = {"configuration.md": configuration(), "command-line.md": command_line()}
    if "--check" not in sys.argv[1:]:
        REFERENCE.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (REFERENCE / name).write_text(text)
        return 0
    stale = [name for name, text in pages.items() if _now(name) != text]
    if stale:
        print(f"docs/reference: {', '.join(stale)} is not what the code says: run scripts/docs.py")
    return len(stale)


def configuration() -> str:
    ours = {plain(name) for name in sections()}
    not_yet = ", ".join(name for name in NOT_YET if plain(name) not in ours)
    not_yet = textwrap.fill(not_yet, 100)
    parts = [CONFIGURATION.replace("{not_yet}", not_yet), *_section("", Top)]
    for name, cls in sections().items():
        if entries := list_of(cls):
            parts += _section(f"{name}[]", sections_of(entries.type) or cls)
        elif shape(cls):
            parts += _section(name, cls)
    return "\n".join(parts)


def command_line() -> str:
    return "\n".join([COMMANDS, *_command(funnel, click.Context(funnel, info_name="funnel"))])


def _section(name: str, cls: type[Value]) -> Iterator[str]:
    yield f"## {name or 'What is used'}\n"
    yield f"{inspect.getdoc(cls)}\n"
    yield "| setting | default | |"
    yield "|---|---|---|"
    about = _attributes(cls)
    for key in _leaves(cls):
        words = " ".join(filter(None, (_choices(key.type), about.get(key.name, ""))))
        path = f"{name}.{key.display}" if name else key.display
        yield f"| `{path}` | {_default(key)} | {words.replace('|', chr(92) + '|')} |"
    yield ""
    for key in shape(cls).values():
        if of := sections_of(key.type):
            yield from _section(f"{name}.{key.display}[]", of)
        elif is_section(key.type):
            yield from _section(f"{name}.{key.display}", key.type)


def _leaves(cls: type[Value]) -> Iterator[Key]:
    return (
        key for key in shape(cls).values() if not (is_section(key.type) or sections_of(key.type))
    )


def _attributes(cls: type[Value]) -> dict[str, str]:
    """What stands below each field of a class."""
    lines = [
        line
        for made in ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        if isinstance(made, ast.ClassDef)
        for line in made.body
    ]
    found: dict[str, str] = {}
    for field, after in pairwise(lines):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ):
                found[name] = " ".join(text.split())
            case _:
                pass
    return found


def _choices(annotation: Any) -> str:
    kind = bare(annotation)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"One of {', '.join(f'`{one}`' for one in kind)}."
    return "A secret, never shown." if annotation is Secret else ""


def _default(key: Key) -> str:
    if get_origin(bare(key.type)) is tuple:
        return ", ".join(f"`{one}`" for one in key.default) or "none"
    match key.default:
        case None:
            return "`disabled`"
        case timedelta() as duration:
            return f"`{shown(duration)}`"
        case bool() as yes:
            return f"`{str(yes).lower()}`"
        case float() as number:
            return f"`{number:g}`"
        case given:
            return "empty" if given in {"", Secret()} else f"`{given}`"


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    if isinstance(command, LazyGroup):
        for name in command.list_commands(ctx):
            below = command.load(name)
            yield from _command(below, click.Context(below, info_name=name, parent=ctx))
        return
    yield f"## {ctx.command_path}\n"
    yield f"```\n{command.get_usage(ctx)}\n```\n"
    yield f"{_about(command)}\n"
    rows = list(_flags(command, ctx))
    if rows:
        yield "| flag | |"
        yield "|---|---|"
        yield from rows
        yield ""
    if isinstance(command, SettingsCommand):
        yield "And a flag for each [setting](configuration.md), as in `--Server.HTTPPort`.\n"


def _about(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    return text.replace("\b\n", "").replace("\n  funnel", "\n    funnel")


def _flags(command: click.Command, ctx: click.Context) -> Iterator[str]:
    settings = command.flags if isinstance(command, SettingsCommand) else ()
    hidden = {flag.name for flag in settings}
    for param in command.params:
        record = param.get_help_record(ctx)
        if record and isinstance(param, click.Option) and param.name not in hidden:
            names, about = (one.replace("|", "\\|") for one in record)
            yield f"| `{names}` | {about} |"


def _now(name: str) -> str:
    path = REFERENCE / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
