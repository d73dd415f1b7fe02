"""What must be true of a deployment once its faults have healed: evidence in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import reduce
from itertools import pairwise
from typing import Final, TypeAlias

from funnel.core.error import FunnelError
from funnel.core.event import (
    Accepted,
    Change,
    Created,
    Event,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    OutputsStored,
    Recorded,
    Requeued,
    StateChanged,
)
from funnel.core.fold import EMPTY, Progress, apply, begin
from funnel.core.message import messages
from funnel.core.state import State
from funnel.core.task import Spec, TaskId
from funnel.core.value import Value

FINAL = {"COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED"}
MOVES = {
    "QUEUED": {"INITIALIZING", "RUNNING", *FINAL},
    "INITIALIZING": {"RUNNING", *FINAL},
    "RUNNING": FINAL,
}
"""Said once more, so that a wrong table in the program is seen."""


class Heard(StrEnum):
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Call(Value, kw_only=True):
    """What a client asked for, and what it heard. The `name` of a task is its key as well."""

    what: str
    name: str
    heard: Heard
    task_id: str = ""


class Kept(Value, kw_only=True):
    """All that the database has of one task; `printed` where pieces of output had numbers."""

    state: str
    active: bool
    progress: Progress
    events: tuple[tuple[int, Event], ...]
    printed: bool = False


class Mark(Value):
    """What a container wrote itself: that it started, or came to its end."""

    executor: int
    what: str


class Evidence(Value, kw_only=True):
    """
    Everything that is known of a deployment whose server has been stopped.

    `wanted` has the files that a task shall store, and what is in them; `files` those that are
    there. `strangers` are containers of others that were started, `others` those still there.
    `told` are the messages of an event stream, by their keys; None where there was no such stream.
    """

    calls: tuple[Call, ...] = ()
    tasks: Mapping[TaskId, Kept] = {}
    keys: Mapping[str, TaskId] = {}
    outbox: tuple[str, ...] = ()
    integrity: str = "ok"
    containers: tuple[str, ...] = ()
    strangers: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    workplaces: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    wanted: Mapping[str, Mapping[str, str]] = {}
    witness: Mapping[str, tuple[Mark, ...]] = {}
    told: Mapping[TaskId, Sequence[str]] | None = None


Law: TypeAlias = Callable[[Evidence], Iterator[str]]
LAWS: Final = dict[str, Law]()
"""By name; each says what is wrong."""


class Violation(Value):
    law: str
    about: str


def violations(evidence: Evidence) -> list[Violation]:
    return [Violation(law, about) for law, check in LAWS.items() for about in check(evidence)]


def _name(kept: Kept) -> str:
    return _spec(kept).name


def _spec(kept: Kept) -> Spec:
    (_, first), *_ = kept.events or ((0, None),)
    return first.spec if isinstance(first, Created) else Spec()


def law(check: Law) -> Law:
    LAWS[check.__name__] = check
    return check


def law_of_tasks(check: Callable[[Kept], Iterator[str]]) -> None:
    def of_each(evidence: Evidence) -> Iterator[str]:
        for task_id, kept in evidence.tasks.items():
            yield from (f"{task_id} ({_name(kept)}): {about}" for about in check(kept))

    LAWS[check.__name__] = of_each


@law
def acknowledged(evidence: Evidence) -> Iterator[str]:
    """No create that was answered is lost."""
    for call in evidence.calls:
        if call.what == "create" and call.heard is Heard.OK and call.task_id not in evidence.tasks:
            yield f"{call.name} was accepted as {call.task_id}, which is not there"


@law
def one_per_key(evidence: Evidence) -> Iterator[str]:
    """However often a create is sent, it makes one task, and each answer names it."""
    made = defaultdict[str, set[str]](set)
    for task_id, kept in evidence.tasks.items():
        made[_name(kept)].add(task_id)
    for call in evidence.calls:
        if call.what == "create" and call.heard is Heard.OK:
            made[call.name].add(call.task_id)
    for key, task_id in evidence.keys.items():
        made[key].add(task_id)
    yield from (f"{name} is {sorted(ids)}" for name, ids in made.items() if len(ids) > 1)


@law
def final(evidence: Evidence) -> Iterator[str]:
    """Nothing is stuck."""
    for task_id, kept in evidence.tasks.items():
        if kept.state not in FINAL:
            yield f"{task_id} ({_name(kept)}) is {kept.state} for ever"


@law_of_tasks
def ended_once(kept: Kept) -> Iterator[str]:
    """A task ends once; then the system may speak, and a backend may have accepted it."""
    ends = [seq for seq, one in kept.events if isinstance(one, StateChanged) and one.state in FINAL]
    if len(ends) > 1:
        yield f"it ended at {ends}"
    for seq, one in kept.events:
        if ends and seq > ends[0] and not isinstance(one, Logged | Accepted | StateChanged):
            yield f"{type(one).__name__} at {seq} came after the end"


@law_of_tasks
def legal_moves(kept: Kept) -> Iterator[str]:
    now = "QUEUED"
    for seq, one in kept.events:
        if isinstance(one, Requeued):
            if now in FINAL:
                yield f"it is queued again at {seq}, after {now}"
            now = "QUEUED"
        elif isinstance(one, StateChanged):
            if one.state != now and one.state not in MOVES.get(now, ()):
                yield f"{now} became {one.state} at {seq}"
            now = one.state


@law_of_tasks
def numbered(kept: Kept) -> Iterator[str]:
    """From 1 upwards, each once; output takes numbers, and is kept elsewhere."""
    seqs = [seq for seq, _ in kept.events]
    if seqs != sorted(set(seqs)) or seqs[:1] != [1]:
        yield f"its events are numbered {seqs}"
    version = kept.progress.version
    if seqs and (seqs[-1] > version or (not kept.printed and len(seqs) != version)):
        yield f"it has {len(seqs)} events up to {seqs[-1]}, and {version} were counted"


@law_of_tasks
def folded(kept: Kept) -> Iterator[str]:
    """The row says what the events lead to."""
    (_, first), *rest = kept.events or ((0, None),)
    if not isinstance(first, Created):
        yield f"it begins with {type(first).__name__}"
        return
    try:
        told = reduce(apply, _changes(rest), begin(first))
    except FunnelError as error:
        yield f"its events cannot be folded: {error}"
        return
    for field in ("task_id", "queue", "state", "fence", "native_id", "logs"):
        in_row, of_events = getattr(kept.progress, field), getattr(told, field)
        if in_row != of_events:
            yield f"{field} is {in_row!r} in its row, and {of_events!r} by its events"


def _changes(events: list[tuple[int, Event]]) -> Iterator[Change]:
    for _, one in events:
        if not isinstance(one, Created):
            yield one


@law_of_tasks
def row(kept: Kept) -> Iterator[str]:
    """What is searched is what is shown."""
    if kept.state != kept.progress.state:
        yield f"it is found as {kept.state}, and is {kept.progress.state}"
    if kept.active and kept.state in FINAL:
        yield "it is over, and counts as active"


@law_of_tasks
def executors_in_order(kept: Kept) -> Iterator[str]:
    """In each attempt one after the other, each marked once; no end without a beginning."""
    began, ended = list[int](), list[int]()
    for seq, one in kept.events:
        match one:
            case Requeued():
                began, ended = [], []
            case ExecutorStarted(index=index):
                if index != len(began) or len(ended) != len(began):
                    yield f"executor {index} began at {seq}, after {began} began and {ended} ended"
                began.append(index)
            case ExecutorExited(index=index):
                if index in ended or index not in began:
                    yield f"executor {index} ended at {seq}, after {began} began and {ended} ended"
                ended.append(index)
            case _:
                pass


@law
def started_as_marked(evidence: Evidence) -> Iterator[str]:
    """No container runs that was not marked, and none of one attempt runs twice."""
    for name, kept in _witnessed(evidence):
        marked = Counter(one.index for _, one in kept.events if isinstance(one, ExecutorStarted))
        started = Counter(_marks(evidence, name, "start"))
        for index in started:
            if started[index] > marked[index]:
                yield f"{name}: executor {index} ran {started[index]} times, marked {marked[index]}"


@law
def stopped_as_told(evidence: Evidence) -> Iterator[str]:
    """Who is said to have come to its end did, and did not before it began."""
    for name, kept in _witnessed(evidence):
        started, stopped = (Counter(_marks(evidence, name, what)) for what in ("start", "stop"))
        for index in stopped:
            if stopped[index] > started[index]:
                yield f"{name}: executor {index} came to its end without a beginning"
        for _, one in kept.events:
            if isinstance(one, ExecutorExited) and not one.code and not stopped[one.index]:
                yield f"{name}: executor {one.index} is said to have come to its end"


def _witnessed(evidence: Evidence) -> Iterator[tuple[str, Kept]]:
    """The tasks whose containers keep a witness log."""
    for kept in evidence.tasks.values():
        if _name(kept) in evidence.witness:
            yield _name(kept), kept


def _marks(evidence: Evidence, name: str, what: str) -> Iterator[int]:
    return (one.executor for one in evidence.witness[name] if one.what == what)


@law
def complete(evidence: Evidence) -> Iterator[str]:
    """What is COMPLETE ran all its executors, and stored all its outputs, as it says."""
    for kept in evidence.tasks.values():
        if kept.state != State.COMPLETE:
            continue
        name, log = _name(kept), (kept.progress.logs or (EMPTY,))[-1]
        if [one.exit_code for one in log.logs] != [0] * len(_spec(kept).executors):
            yield f"{name} ended with {[one.exit_code for one in log.logs]}"
        wanted = evidence.wanted.get(name, {})
        stored = {one.url.rpartition("/")[2]: one.size_bytes for one in log.outputs}
        if stored != {file: str(len(text.encode())) for file, text in wanted.items()}:
            yield f"{name} says that it stored {stored}"
        yield from (f"{name} has no {file}" for file in wanted if file not in evidence.files)


@law
def whole(evidence: Evidence) -> Iterator[str]:
    """An output is there as it shall be, or not at all."""
    wanted = {file: text for each in evidence.wanted.values() for file, text in each.items()}
    for file, text in evidence.files.items():
        if file not in wanted:
            yield f"{file} is nobody's"
        elif text != wanted[file]:
            yield f"{file} has {len(text)} characters, and not the {len(wanted[file])} wanted"


@law_of_tasks
def stored_once(kept: Kept) -> Iterator[str]:
    """An attempt tells of its outputs once."""
    told = 0
    for _, one in kept.events:
        told = 0 if isinstance(one, Requeued) else told + isinstance(one, OutputsStored)
        if told > 1:
            yield "its outputs were told of twice"


@law
def told(evidence: Evidence) -> Iterator[str]:
    """A stream hears everything, in order; what it hears again, with all that comes after it."""
    for task_id, kept in evidence.tasks.items() if evidence.told is not None else ():
        heard, happened = (evidence.told or {}).get(task_id, ()), _happened(kept)
        if set(heard) != {*happened}:
            yield f"{task_id} ({_name(kept)}): of {happened} a stream heard {heard}"
            continue
        places = [-1, *map(happened.index, heard)]
        for before, place in pairwise(places):
            if place > before + 1:
                yield f"{task_id} ({_name(kept)}): {happened[place]} was heard too early: {heard}"


def _happened(kept: Kept) -> Sequence[str]:
    """The keys of all that there is to tell."""
    return [one.key for seq, event in kept.events for one in messages(Recorded(seq, seq, event), 1)]


@law
def nothing_left(evidence: Evidence) -> Iterator[str]:
    yield from (f"container {one} is left" for one in evidence.containers)
    yield from (f"directory {one} is left" for one in evidence.workplaces)
    yield from (f"work {one} is left" for one in evidence.outbox)


@law
def strangers_untouched(evidence: Evidence) -> Iterator[str]:
    """What has not our label is never touched."""
    yield from (f"{one} is gone" for one in sorted(evidence.strangers - evidence.others))


@law
def sound(evidence: Evidence) -> Iterator[str]:
    """The database file is whole."""
    if evidence.integrity != "ok":
        yield evidence.integrity
