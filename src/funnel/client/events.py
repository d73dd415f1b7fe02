"""Hearing what happens to a task, from a server that tells it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from msgspec import json

from funnel.client.connection import Connection, Question
from funnel.client.waiting import rest
from funnel.core.backoff import delays
from funnel.core.error import Busy, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.value import Value

SILENCE: Final = 45.0
"""Seconds; the server says every 15 at least that it is still there."""
TRIES: Final = 4
PATIENT_TRIES: Final = 60
"""For some minutes, where something was heard before."""
KIND: Final = "text/event-stream"
END: Final = "end"
BREAK: Final = b"\n\n"


class NoStreams(FunnelError):
    """This server cannot tell what happens; look again and again instead."""


class News(Value):
    """
    Something that happened to a task; `id` is the place to go on from.

    `kind` is one of created, accepted, statechanged, requeued, executorstarted, executorexited,
    outputsstored, metadataadded, logged and, where output is asked for, printed.
    """

    id: str
    kind: str
    data: Mapping[str, Any]


async def events(
    connection: Connection, question: Question, after: str = ""
) -> AsyncGenerator[News]:
    """
    What a stream tells until it says that it is at its end, over as many connections as it takes.

    Raises `NoStreams` where the question is not understood, or too many ask it.
    """
    pauses, last, ended = _pauses(TRIES), after, False
    while not ended:
        try:
            async with aclosing(_heard(connection, question, last)) as hearing:
                async for news in hearing:
                    ended = news.kind == END
                    if not ended:
                        last, pauses = news.id, _pauses(PATIENT_TRIES)
                        yield news
            missing: FunnelError = Unavailable(f"{connection.server.shown} broke off")
        except (Busy, Unavailable) as error:
            missing = error
        if not ended:
            await _pause(pauses, missing)


async def _heard(connection: Connection, question: Question, last: str) -> AsyncGenerator[News]:
    again = replace(question, headers={"Last-Event-ID": last}) if last else question
    try:
        async with connection.hear(again, silence=SILENCE) as answer:
            if answer.status == 204:
                yield News("", END, {})
                return
            if answer.content_type != KIND:
                raise NoStreams
            rest = b""
            async for piece in answer.content.iter_any():
                *whole, rest = (rest + piece).split(BREAK)
                for news in map(_read, whole):
                    if news:
                        yield news
    except (Busy, Invalid, NotFound) as error:
        if last:
            raise
        raise NoStreams from error


def _read(block: bytes) -> News | None:
    """One event, or None for a comment."""
    pairs = (line.partition(": ") for line in block.decode().split("\n"))
    fields = {name: value for name, _, value in pairs}
    if "data" not in fields:
        return None
    return News(fields.get("id", ""), fields.get("event", ""), json.decode(fields["data"]))


def _pauses(tries: int) -> Iterator[float]:
    return islice(delays(first=0.1, most=5.0), tries)


async def _pause(pauses: Iterator[float], missing: FunnelError) -> None:
    pause = next(pauses, None)
    if pause is None:
        raise missing
    await asyncio.sleep(rest(missing, pause))
