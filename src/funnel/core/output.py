"""How far somebody has read what a task prints."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.task import TaskId
from funnel.core.value import Value


class Piece(Value, kw_only=True, tag_field="kind", tag="printed"):
    """
    Bytes `start` to `end` of what an executor wrote to a stream.

    `attempt` counts from 1, as fences do; `executor` from 0.
    """

    task_id: TaskId
    attempt: int
    executor: int
    stream: Stream
    start: int
    end: int
    text: str


class Place(Value):
    """All of the executors before this one has been read, and so many bytes of this one."""

    attempt: int = 1
    executor: int = 0
    stdout: int = 0
    stderr: int = 0

    def read(self, stream: Stream) -> int:
        return self.stdout if stream is Stream.STDOUT else self.stderr

    def behind(self, piece: Piece) -> "Place":
        """The place once this piece, which is not before it, has been read too."""
        same = (piece.attempt, piece.executor) == (self.attempt, self.executor)
        place = self if same else Place(piece.attempt, piece.executor)
        return replace(place, **{piece.stream.value: piece.end})


class Mark(Value):
    """How far a stream of news has been read: events by position, output only where asked for."""

    position: int = 0
    place: Place | None = None


def unread(place: Place, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Place]]:
    """
    What is new in pieces from `place` on, sorted, each with the place behind it.

    Pieces may overlap, since who takes over from another says again what may not have been
    heard. Where one begins after the place before it, what is between was not kept.
    """
    for piece in pieces:
        here = (piece.attempt, piece.executor) == (place.attempt, place.executor)
        at = place.read(piece.stream) if here else 0
        if piece.end > at:
            place = place.behind(piece)
            yield _cut(piece, at), place


def rest(text: str, start: int, at: int) -> str:
    """What a text that begins at byte `start` of a stream says after byte `at`."""
    if start >= at:
        return text
    return text.encode()[at - start :].decode(errors="ignore")


def _cut(piece: Piece, at: int) -> Piece:
    text = rest(piece.text, piece.start, at)
    return replace(piece, start=max(piece.start, at), text=text)
