"""
What the rows hold: JSON, written by us and read leniently.

What can be many comes out of SQLite as one row, a JSON array: a reading thread must win the
interpreter lock back after each row, which takes long while the loop is busy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Raw, json

from funnel.core.container import Stream
from funnel.core.event import Printed
from funnel.core.fold import Progress
from funnel.core.query import View
from funnel.core.task import TaskId
from funnel.core.view import full_logs
from funnel.core.work import Work
from funnel.database.folded import read_progress
from funnel.database.packed import Body, First, kept, system_logs
from funnel.wire.document import without_contents, write_task

Row: TypeAlias = tuple[int, bytes]
Made: TypeAlias = tuple[int, bytes, bytes]
"""A task's number, its progress as it is stored, and the document that shows it."""
Listed: TypeAlias = tuple[object, object]
"""The id and the state under which a task is found."""
Basic: TypeAlias = tuple[int, Raw, Listed, First]
Piece: TypeAlias = tuple[int, int, Stream, int, int, int, str]
Full: TypeAlias = tuple[int, Raw, Listed, First, list[Body], list[Piece]]

WORK = json.Decoder[Work](Work)
_ROWS = json.Decoder(list[tuple[int, Raw]])
_BASIC = json.Decoder(list[Basic])
_FULL = json.Decoder(list[Full])
_ENCODER = json.Encoder()
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def as_text(value: object) -> str:
    return _ENCODER.encode(value).decode()


def read_rows(text: str) -> list[Row]:
    """The numbers of tasks, and what is stored beside each, as it is."""
    return [(n, bytes(stored)) for n, stored in _ROWS.decode(text)]


def read_basic(text: str) -> Iterator[Made]:
    for n, raw, listed, first in _BASIC.decode(text):
        stored = bytes(raw)
        progress = read_listed(stored, listed)
        task_id, state, logs = progress.task_id, progress.state, progress.logs
        yield n, stored, write_task(without_contents(kept(first)), task_id, state, logs)


def read_full(text: str) -> Iterator[Made]:
    for n, raw, listed, first, rows, pieces in _FULL.decode(text):
        stored = bytes(raw)
        progress = read_listed(stored, listed)
        task_id = progress.task_id
        logs = full_logs(progress, system_logs(rows), _outputs(task_id, pieces))
        yield n, stored, write_task(kept(first), task_id, progress.state, logs)


def read_listed(stored: bytes, listed: Listed) -> Progress:
    """Raises `ValueError` where the task is listed as another, or under another state."""
    progress = read_progress(stored)
    if (progress.task_id, progress.state) != listed:
        raise ValueError(f"{progress.task_id}, {progress.state} is listed as {listed}")
    return progress


READ: Mapping[View, Callable[[str], Iterator[Made]]] = {
    View.BASIC: read_basic,
    View.FULL: read_full,
}


def _outputs(task_id: TaskId, pieces: Sequence[Piece]) -> Mapping[int, Sequence[Printed]]:
    """By attempt."""
    found: dict[int, list[Printed]] = {}
    for piece in pieces:
        found.setdefault(piece[0], []).append(as_printed(task_id, piece))
    return found


def as_printed(task_id: TaskId, piece: Piece) -> Printed:
    """When it was printed is not kept."""
    _, executor, stream, start, end, keep, text = piece
    return Printed(task_id, UNKNOWN_TIME, executor, Stream(stream), start, end, text, keep)
