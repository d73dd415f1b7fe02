"""A task as its readers see it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import asdict, replace

from funnel.core.container import Stream
from funnel.core.event import Created, Event, Printed
from funnel.core.fold import Progress
from funnel.core.output import rest
from funnel.core.systemlog import of_events
from funnel.core.task import ExecutorLog, Task, TaskLog

Outputs = Mapping[int, Sequence[Printed]]


def bare(created: Created, progress: Progress) -> Task:
    """All but what the system and the executors said."""
    return Task(
        **asdict(created.spec),
        id=progress.task_id,
        state=progress.state,
        logs=progress.logs,
        creation_time=created.at,
    )


def full(created: Created, progress: Progress, events: Iterable[Event], outputs: Outputs) -> Task:
    """
    Everything. `events` are those of the task, in order; none but `Logged` and `Requeued` matter.

    `outputs` are the pieces of output kept for each attempt, 1 the first, in the order of
    their streams and bytes.
    """
    return replace(bare(created, progress), logs=full_logs(progress, of_events(events), outputs))


def full_logs(
    progress: Progress, said: Mapping[int, tuple[str, ...]], outputs: Outputs
) -> tuple[TaskLog, ...]:
    """The logs of all attempts, with what the system and the executors said in each."""
    return tuple(
        replace(
            log,
            system_logs=said.get(attempt, ()),
            logs=_printed(log.logs, outputs.get(attempt, ())),
        )
        for attempt, log in enumerate(progress.logs, 1)
    )


def tail(pieces: Iterable[Printed]) -> str:
    """
    The end of one stream: no more than the last `keep` bytes of its pieces, in order.

    Pieces may overlap, since who takes over from another says again what may not have been heard.
    """
    text, keep, at = "", 0, 0
    for piece in pieces:
        if piece.end > at:
            text, keep, at = text + rest(piece.text, piece.start, at), piece.keep, piece.end
    whole = text.encode()
    return text if len(whole) <= keep else whole[len(whole) - keep :].decode(errors="ignore")


def _printed(logs: tuple[ExecutorLog, ...], pieces: Sequence[Printed]) -> tuple[ExecutorLog, ...]:
    if not pieces:
        return logs
    return tuple(
        replace(
            log,
            stdout=tail(one for one in pieces if (one.index, one.stream) == (at, Stream.STDOUT)),
            stderr=tail(one for one in pieces if (one.index, one.stream) == (at, Stream.STDERR)),
        )
        for at, log in enumerate(logs)
    )
