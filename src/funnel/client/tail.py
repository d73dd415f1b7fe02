"""What is new in text of which only the end is known."""

from collections.abc import Iterator

from funnel.core.container import Stream
from funnel.core.task import Task, TaskLog
from funnel.core.value import Value


class Piece(Value, kw_only=True):
    """Text that is new. `stream` is None for the system log; `lost` says that some is missing."""

    attempt: int
    executor: int
    stream: Stream | None
    text: str
    lost: bool = False


class Tail:
    """Compares what is known of a task's output now with what was known before."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int, Stream | None], str] = {}

    def see(self, task: Task) -> Iterator[Piece]:
        """What is new, attempt by attempt, executor by executor; the system log comes last."""
        for attempt, log in enumerate(task.logs):
            for executor, stream, text in _texts(log):
                key = (attempt, executor, stream)
                new, lost = fresh(self._seen.get(key, ""), text)
                self._seen[key] = text
                if new:
                    yield Piece(
                        attempt=attempt, executor=executor, stream=stream, text=new, lost=lost
                    )


def fresh(before: str, now: str) -> tuple[str, bool]:
    """
    What follows `before` in `now`, both ends of one growing text, and whether some is missing.

    >>> fresh("one two", "two three")
    (' three', False)
    >>> fresh("one", "three")
    ('three', True)
    """
    if now.startswith(before):
        return now[len(before) :], False
    common = _overlap(before, now)
    return now[common:], common == 0


def _overlap(before: str, now: str) -> int:
    """How much of the end of `before` begins `now`, at most; in one pass (Knuth, Morris, Pratt)."""
    borders = _borders(now)
    at = 0
    for char in before[-len(now) :]:
        while at and (at == len(now) or now[at] != char):
            at = borders[at - 1]
        if now and now[at] == char:
            at += 1
    return at


def _borders(text: str) -> list[int]:
    """For each beginning of the text: how much of its end is again a beginning of it."""
    borders = [0] * len(text)
    at = 0
    for index in range(1, len(text)):
        while at and text[index] != text[at]:
            at = borders[at - 1]
        if text[index] == text[at]:
            at += 1
        borders[index] = at
    return borders


def _texts(log: TaskLog) -> Iterator[tuple[int, Stream | None, str]]:
    for executor, one in enumerate(log.logs):
        yield executor, Stream.STDOUT, one.stdout
        yield executor, Stream.STDERR, one.stderr
    yield 0, None, "".join(f"{line}\n" for line in log.system_logs)
