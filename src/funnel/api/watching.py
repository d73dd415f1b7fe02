"""What those ask for who wait for tasks or follow them."""

from enum import StrEnum
from typing import Final

from funnel.api.query import Asked
from funnel.api.request import Request
from funnel.core import container
from funnel.core.error import Invalid
from funnel.core.output import Mark, Place
from funnel.core.state import FINAL, State
from funnel.core.value import Value

LONGEST_WAIT: Final = 60.0
"""Seconds; who asks for more is answered after this."""


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"


class Wait(Value):
    """For so many seconds, until the task is in one of the states."""

    seconds: float
    states: frozenset[State]


class AskedLog(Value):
    """`stream` is None for the system log; `attempt` None for the newest; both count from 0."""

    stream: container.Stream | None
    executor: int
    attempt: int | None
    follow: bool


def read_wait(request: Request) -> Wait:
    asked = _asked(request)
    wait = Wait(
        min(asked.duration("wait").total_seconds(), LONGEST_WAIT),
        asked.words("until", State) or FINAL,
    )
    asked.complain()
    return wait


def read_log(request: Request) -> AskedLog:
    asked = _asked(request)
    (stream, *more) = asked.words("stream", Stream) or {Stream.STDOUT}
    if more:
        asked.problem("stream", "expected one of stdout, stderr and system, got several")
    found = AskedLog(
        None if stream is Stream.SYSTEM else container.Stream(stream),
        asked.number("executor") or 0,
        asked.number("attempt"),
        asked.flag("follow"),
    )
    asked.complain()
    return found


def read_mark(request: Request) -> tuple[Mark, bool]:
    """
    Where a stream of events goes on, and whether that was said at all.

    The header that browsers send counts more than the parameter, which was in the address
    from the beginning.
    """
    asked = _asked(request)
    after, output = asked.number("after"), asked.flag("output")
    asked.complain()
    if header := request.header(b"last-event-id"):
        mark = _mark(header)
        return (Mark(mark.position, (mark.place or Place()) if output else None), True)
    return Mark(after or 0, Place() if output else None), after is not None


def write_mark(mark: Mark) -> str:
    """What `Last-Event-ID` gives back."""
    if mark.place is None:
        return str(mark.position)
    place = mark.place
    numbers = (mark.position, place.attempt, place.executor, place.stdout, place.stderr)
    return "-".join(map(str, numbers))


def _mark(text: str) -> Mark:
    numbers = text.split("-")
    if len(numbers) not in (1, 5) or not all(map(_is_number, numbers)):
        raise Invalid(f"Last-Event-ID: {text[:80]!r} is not from this server")
    position, *place = map(int, numbers)
    return Mark(position, Place(*place) if place else None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _asked(request: Request) -> Asked:
    return Asked.in_url(request.query)
