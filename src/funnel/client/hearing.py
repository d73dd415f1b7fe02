"""What a task prints and how far it is: from events that its server tells, or from looks at it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Protocol, TypeAlias

from msgspec import convert

from funnel.client.events import News, NoStreams
from funnel.client.tail import Piece, Tail
from funnel.client.waiting import Looker, looks
from funnel.core import output
from funnel.core.container import Stream
from funnel.core.event import Created, ExecutorStarted, Logged, Requeued, StateChanged
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.systemlog import line
from funnel.core.task import Task

Event: TypeAlias = Created | Requeued | StateChanged | ExecutorStarted | Logged | output.Piece
KINDS: Final = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (Created, Requeued, StateChanged, ExecutorStarted, Logged, output.Piece)
)
Seen: TypeAlias = tuple[Sequence[Piece], str]
"""Text that is new, and how far the task is now."""


class Teller(Looker, Protocol):
    def told(self, task_id: str, *, output: bool = ...) -> AsyncGenerator[News]:
        """What happens to a task that is there; raises `NoStreams` where it is not told."""
        ...


async def pieces(client: Teller, task_id: str, *, follow: bool) -> AsyncGenerator[Piece]:
    """What a task has printed and its system log; with `follow`, until it has ended."""
    if not follow:
        for piece in Tail().see(await client.get(task_id, View.FULL)):
            yield piece
        return
    async with aclosing(seen(client, task_id)) as told:
        async for new, _ in told:
            for piece in new:
                yield piece


async def changes(client: Looker, task_id: str) -> AsyncGenerator[News]:
    """The states in which a task is seen, told as a server would that tells events."""
    before: State | None = None
    async for task in looks(client, task_id, View.MINIMAL):
        if task.state is not before:
            before = task.state
            yield News("", "statechanged", {"task_id": task.id, "state": str(before)})


async def seen(client: Teller, task_id: str) -> AsyncGenerator[Seen]:
    """All there is to see of a task, until it has ended. Raises `NotFound`."""
    await client.get(task_id, View.MINIMAL)
    hearing = Hearing()
    try:
        async with aclosing(client.told(task_id, output=True)) as told:
            async for news in told:
                yield hearing.hear(news)
    except NoStreams:
        tail = Tail()
        async for task in looks(client, task_id, View.FULL):
            yield [*tail.see(task)], _far(task.state, *_executors(task))


class Hearing:
    """Makes of events what people read."""

    def __init__(self) -> None:
        self._state = State.QUEUED
        self._attempt = 1
        self._at, self._executors = 0, 0
        self._ends: dict[tuple[int, int, Stream], int] = {}

    def hear(self, news: News) -> Seen:
        piece: Piece | None = None
        if news.kind in KINDS:
            piece = self._take(convert(news.data, Event))
        return ([piece] if piece else []), _far(self._state, self._at, self._executors)

    def _take(self, event: Event) -> Piece | None:
        match event:
            case Created(spec=spec):
                self._executors = len(spec.executors)
            case Requeued():
                self._attempt += 1
                self._state, self._at = State.QUEUED, 0
            case StateChanged(state=state):
                self._state = state
            case ExecutorStarted(index=index):
                self._at = index + 1
            case Logged():
                text = f"{line(event, self._attempt)}\n"
                return Piece(attempt=self._attempt - 1, executor=0, stream=None, text=text)
            case output.Piece():
                return self._printed(event)
        return None

    def _printed(self, piece: output.Piece) -> Piece:
        key = (piece.attempt, piece.executor, piece.stream)
        before = self._ends.get(key, piece.start)
        self._ends[key] = piece.end
        return Piece(
            attempt=piece.attempt,
            executor=piece.executor,
            stream=piece.stream,
            text=piece.text,
            lost=piece.start > before,
        )


def _executors(task: Task) -> tuple[int, int]:
    return (len(task.logs[-1].logs) if task.logs else 0), len(task.executors)


def _far(state: State, at: int, executors: int) -> str:
    return f"{state} executor {at} of {executors}" if state is State.RUNNING and at else str(state)
