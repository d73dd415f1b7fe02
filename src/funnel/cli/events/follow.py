"""`funnel events follow`."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, TypeAlias

import click
from msgspec import convert, json

from funnel.cli.client import talk
from funnel.cli.output import for_people, harmless
from funnel.cli.talk import server_option
from funnel.cli.words import output_option
from funnel.client.events import News
from funnel.client.http import AsyncClient
from funnel.core.event import (
    Accepted,
    Created,
    Event,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    MetadataAdded,
    OutputsStored,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.value import Value

WORD: Final = 8
"""Characters of the longest word below."""
Words: TypeAlias = tuple[str, str]


class Asked(Value, kw_only=True):
    """What was asked for on the command line."""

    task: str
    after: str
    output: str | None
    server: str | None


@click.command("follow")
@click.option("--task", metavar="ID", default="", help="Only of this one, until it has ended.")
@click.option("--after", metavar="ID", default="", help="Go on behind the event with this id.")
@output_option("table", "json")
@server_option
def follow(**given: Any) -> None:
    """
    Print what happens to tasks as it happens: of one from its beginning, of all from now on.

    Lines for people on a terminal; elsewhere one JSON object a line, as the server tells it. It
    goes on where it was when the connection breaks.
    """
    asked = convert(given, Asked)
    talk(asked.server, lambda client: _follow(client, asked))


async def _follow(client: AsyncClient, asked: Asked) -> None:
    write = line if for_people(asked.output) else _json
    async with aclosing(client.events(asked.task, after=asked.after)) as told:
        async for news in told:
            click.echo(write(news))


def _json(news: News) -> str:
    return json.encode({"id": news.id, **news.data}).decode()


def line(news: News) -> str:
    """An event for people, in columns: the local time, the task, what it is about, what it is."""
    try:
        event = convert(news.data, Event)
        at, (word, text) = event.at, _SAID[type(event)](event)
        task_id: str = event.task_id
    except ValueError:
        # Told by a server that is newer than we are, or by another's.
        at, (word, text), task_id = _of_others(news)
    shown = at.astimezone().strftime("%H:%M:%S") if at else " " * 8
    return harmless(f"{shown}  {task_id}  {word:{WORD}}  {text}".rstrip())


def _of_others(news: News) -> tuple[datetime | None, Words, str]:
    rest = {name: str(one) for name, one in news.data.items() if name not in {"kind", "task_id"}}
    return None, (news.kind, _pairs(rest)), str(news.data.get("task_id", ""))


def _pairs(fields: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in fields.items())


def _logged(event: Logged) -> Words:
    return event.level.value, f"{event.message} {_pairs(event.fields)}"


_SAID: Final[Mapping[type[Event], Callable[[Any], Words]]] = {
    Created: lambda event: ("created", event.spec.name),
    Accepted: lambda event: ("job", event.native_id),
    Requeued: lambda event: ("again", event.reason),
    StateChanged: lambda event: ("state", event.state.value),
    ExecutorStarted: lambda event: ("executor", f"{event.index} started"),
    ExecutorExited: lambda event: ("executor", f"{event.index} exited with {event.code}"),
    TimeTold: lambda event: ("time", event.moment.replace("_", " ")),
    OutputsStored: lambda event: ("outputs", " ".join(one.url for one in event.outputs)),
    MetadataAdded: lambda event: ("metadata", _pairs(event.metadata)),
    Logged: _logged,
}
