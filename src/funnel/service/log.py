"""What one executor wrote to one stream, or the system log of an attempt, as plain text."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from funnel.core.container import Stream
from funnel.core.error import NotFound, Unavailable
from funnel.core.event import Logged, Requeued
from funnel.core.fold import Progress
from funnel.core.output import Place, unread
from funnel.core.query import Scope, View
from funnel.core.state import is_final
from funnel.core.systemlog import line
from funnel.core.task import TaskId
from funnel.service.hub import Hub
from funnel.service.tell import BEAT, PAGE, Source

NOT_ASKED: Final = 1 << 62
"""No stream is as long as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """`attempt` counts from 1; `stream` is None for the system log."""

    task_id: TaskId
    attempt: int
    executor: int
    stream: Stream | None


@dataclass(frozen=True, slots=True)
class Text:
    """What begins at byte `start` of its stream."""

    start: int
    text: str


class _Log(Protocol):
    async def unread(self) -> Sequence[Text]:
        """What is new since the last call."""
        ...


async def choose(
    source: Source, task_id: TaskId, scope: Scope, attempt: int | None, executor: int
) -> int:
    """
    The attempt, counted from 1, of those that a task has; the newest where none is named.

    `attempt` and `executor` count from 0, as in the task's `logs`. Raises `NotFound`.
    """
    task = await source.get(task_id, View.BASIC, scope)
    attempts, executors = len(task.logs), len(task.executors)
    chosen = attempts if attempt is None else attempt + 1
    if chosen > attempts:
        raise NotFound(f"task {task_id} has no attempt {attempt}, the last is {attempts - 1}")
    if executor >= executors:
        raise NotFound(f"task {task_id} has no executor {executor}, the last is {executors - 1}")
    return chosen


async def told(source: Source, hub: Hub, which: Which, *, follow: bool) -> AsyncGenerator[Text]:
    """
    What is kept, and to follow, what comes until the executor or the system log has ended.

    The first is empty, and there at once: it says where what is kept begins. Raises
    `Unavailable` where the server stops before the end.
    """
    log: _Log = _SystemLog(source, which) if which.stream is None else _Output(source, which)
    with hub.watch(which.task_id) as watch:
        begun = False
        while not watch.over:
            ended = has_ended(await source.progress(which.task_id), which)
            texts = await log.unread()
            if not begun:
                yield Text(texts[0].start if texts else 0, "")
            begun = True
            for one in texts:
                yield one
            if ended or not follow:
                return
            await watch.news(BEAT)
    raise Unavailable("the server stops before the log has ended")


def has_ended(progress: Progress, which: Which) -> bool:
    """Whether nothing more will come."""
    if is_final(progress.state) or progress.fence > which.attempt:
        return True
    logs = progress.logs[-1].logs
    if which.stream is None or which.executor >= len(logs):
        return False
    return logs[which.executor].end_time is not None


class _Output:
    def __init__(self, source: Source, which: Which) -> None:
        self._source = source
        self._which = which
        self._mine = (which.attempt, which.executor, which.stream)
        stdout, stderr = (0 if one is which.stream else NOT_ASKED for one in Stream)
        self._place = Place(which.attempt, which.executor, stdout, stderr)

    async def unread(self) -> Sequence[Text]:
        pieces = await self._source.printed(self._which.task_id, self._place)
        mine = [one for one in pieces if (one.attempt, one.executor, one.stream) == self._mine]
        texts = list[Text]()
        for piece, behind in unread(self._place, mine):
            self._place = behind
            texts.append(Text(piece.start, piece.text))
        return texts


class _SystemLog:
    def __init__(self, source: Source, which: Which) -> None:
        self._source = source
        self._which = which
        self._attempt = 1
        self._position = 0
        self._size = 0

    async def unread(self) -> Sequence[Text]:
        texts = list[Text]()
        more = True
        while more:
            events = await self._source.events_of(
                self._which.task_id, after=self._position, limit=PAGE
            )
            for one in events:
                self._position = one.position
                texts += self._lines(one.event)
            more = len(events) == PAGE
        return texts

    def _lines(self, event: object) -> Sequence[Text]:
        match event:
            case Requeued():
                self._attempt += 1
            case Logged() if self._attempt == self._which.attempt:
                text = f"{line(event, self._attempt)}\n"
                start, self._size = self._size, self._size + len(text.encode())
                return [Text(start, text)]
            case _:
                pass
        return ()
