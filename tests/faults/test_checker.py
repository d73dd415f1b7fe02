"""The checker sees what is wrong: each planted fault breaks the law that it is about."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import pytest
from checker import LAWS, Call, Evidence, Heard, Kept, Mark, violations
from msgspec.structs import replace

from funnel.core.event import (
    Accepted,
    Change,
    Created,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    OutputsStored,
    Requeued,
    StateChanged,
)
from funnel.core.fold import apply, begin
from funnel.core.state import State
from funnel.core.task import Executor, OutputFileLog, Spec, TaskId
from funnel.testing.build import EPOCH

T1, T2 = TaskId("t1"), TaskId("t2")
STEP = Executor(image="alpine", command=("true",))
STORED = OutputFileLog(url="file:///files/one.text", path="/out/text", size_bytes="5")

HEARD = (
    *("1-0", "3-0", "3-1", "4-0", "5-0", "6-0", "6-1", "7-0", "8-0", "9-0", "10-0", "10-1", "11-0"),
    *("12-0", "12-1", "13-0", "14-0", "14-1"),
)
"""What there is to tell of the first task: the number of an event, and that of its message."""

Plant = Callable[[Evidence], Evidence]


def moved(task_id: TaskId, state: State) -> StateChanged:
    return StateChanged(task_id, EPOCH, state)


def ran(task_id: TaskId, index: int) -> tuple[Change, ...]:
    return ExecutorStarted(task_id, EPOCH, index), ExecutorExited(task_id, EPOCH, index, 0)


def kept(name: str, *changes: Change) -> Kept:
    """A row that is true to its events."""
    task_id = changes[0].task_id
    created = Created(task_id, EPOCH, Spec(name=name, executors=(STEP, STEP)), "", "local")
    progress = reduce(apply, changes, begin(created))
    return Kept(
        state=progress.state,
        active=False,
        progress=progress,
        events=tuple(enumerate((created, *changes), 1)),
    )


GOOD = Evidence(
    calls=(
        Call(what="create", name="one", heard=Heard.UNKNOWN),
        Call(what="create", name="one", heard=Heard.OK, task_id=T1),
        Call(what="create", name="two", heard=Heard.OK, task_id=T2),
        Call(what="cancel", name="two", heard=Heard.OK, task_id=T2),
        Call(what="create", name="three", heard=Heard.FAILED),
    ),
    tasks={
        T1: kept(
            "one",
            Accepted(T1, EPOCH, "t1-1"),
            moved(T1, State.INITIALIZING),
            moved(T1, State.RUNNING),
            *ran(T1, 0),
            Requeued(T1, EPOCH, "its machine went away"),
            moved(T1, State.RUNNING),
            *ran(T1, 0),
            *ran(T1, 1),
            OutputsStored(T1, EPOCH, (STORED,)),
            moved(T1, State.COMPLETE),
        ),
        T2: kept(
            "two",
            moved(T2, State.RUNNING),
            ExecutorStarted(T2, EPOCH, 0),
            moved(T2, State.CANCELED),
            Accepted(T2, EPOCH, "t2-1"),
            Logged(T2, EPOCH, "Canceled"),
        ),
    },
    keys={"one": T1, "two": T2},
    strangers=frozenset({"foreign"}),
    others=frozenset({"foreign"}),
    files={"one.text": "hello"},
    wanted={"one": {"one.text": "hello"}, "two": {"two.text": "never"}},
    told={
        T1: [f"t1-{one}" for one in HEARD],
        T2: ["t2-1-0", "t2-2-0", "t2-3-0", "t2-2-0", "t2-3-0", "t2-4-0", "t2-4-1", "t2-6-0"],
    },
    witness={
        "one": tuple(Mark(index, what) for index in (0, 0, 1) for what in ("start", "stop")),
        "two": (Mark(0, "start"),),
    },
)


def with_task(task_id: TaskId, change: Callable[[Kept], Kept]) -> Plant:
    def plant(good: Evidence) -> Evidence:
        return replace(good, tasks={**good.tasks, task_id: change(good.tasks[task_id])})

    return plant


def with_events(task_id: TaskId, change: Callable[[list[Any]], list[Any]]) -> Plant:
    """Other events, numbered again; the row stays."""

    def planted(one: Kept) -> Kept:
        events = change([event for _, event in one.events])
        progress = replace(one.progress, version=len(events))
        return replace(one, events=tuple(enumerate(events, 1)), progress=progress)

    return with_task(task_id, planted)


def with_progress(task_id: TaskId, **given: Any) -> Plant:
    return with_task(task_id, lambda one: replace(one, progress=replace(one.progress, **given)))


def with_more(what: str, **more: Any) -> Plant:
    return lambda good: replace(good, **{what: {**getattr(good, what), **more}})


def with_told(change: Callable[[Sequence[str]], Sequence[str]]) -> Plant:
    return lambda good: replace(good, told={**(good.told or {}), T2: change((good.told or {})[T2])})


def renumbered(*numbers: int) -> Plant:
    def planted(one: Kept) -> Kept:
        events = [event for _, event in one.events]
        return replace(one, events=tuple(zip(numbers, events, strict=True)))

    return with_task(T2, planted)


def without_progress_of(one: Kept) -> Kept:
    return replace(one, progress=replace(one.progress, logs=()))


def with_one_executor(one: Kept) -> Kept:
    """As if only the first had run."""
    (*before, log), first = one.progress.logs, one.progress.logs[-1].logs[0]
    return replace(one, progress=replace(one.progress, logs=(*before, replace(log, logs=(first,)))))


PLANTED: dict[str, tuple[str, Plant]] = {
    "a create that was answered is lost": (
        "acknowledged",
        lambda good: replace(good, tasks={T1: good.tasks[T1]}),
    ),
    "a key makes two tasks": ("one_per_key", with_more("tasks", t3=GOOD.tasks[T1])),
    "a create sent again gets another id": (
        "one_per_key",
        lambda good: replace(
            good,
            calls=(*good.calls, Call(what="create", name="one", heard=Heard.OK, task_id=T2)),
        ),
    ),
    "a key leads to another task": ("one_per_key", with_more("keys", one=T2)),
    "a task is stuck": (
        "final",
        with_task(T2, lambda one: replace(one, state="RUNNING")),
    ),
    "a task ends twice, in two ways": (
        "ended_once",
        with_events(T1, lambda events: [*events, moved(T1, State.CANCELED)]),
    ),
    "a task ends twice, in one way": (
        "ended_once",
        with_events(T1, lambda events: [*events, moved(T1, State.COMPLETE)]),
    ),
    "a task goes on after its end": (
        "ended_once",
        with_events(T2, lambda events: [*events, ExecutorExited(T2, EPOCH, 0, 0)]),
    ),
    "a task is queued again after its end": (
        "legal_moves",
        with_events(T2, lambda events: [*events, Requeued(T2, EPOCH, "why not")]),
    ),
    "a task moves back": (
        "legal_moves",
        with_events(T2, lambda events: [*events[:2], moved(T2, State.INITIALIZING), *events[2:]]),
    ),
    "an event is missing": ("numbered", renumbered(1, 2, 4, 5, 6, 7)),
    "an event has the number of another": ("numbered", renumbered(1, 2, 2, 3, 4, 5)),
    "events have changed places": ("numbered", renumbered(1, 3, 2, 4, 5, 6)),
    "the first event is lost": ("numbered", renumbered(2, 3, 4, 5, 6, 7)),
    "an event is not counted": ("numbered", with_progress(T2, version=5)),
    "an event is counted and lost": ("numbered", with_progress(T2, version=9)),
    "the row knows an end that no event tells": (
        "folded",
        with_events(
            T2, lambda events: [one for one in events if not isinstance(one, StateChanged)]
        ),
    ),
    "the row has lost its logs": ("folded", with_task(T1, without_progress_of)),
    "the row has another attempt": ("folded", with_progress(T1, fence=5)),
    "a row is found by another state": (
        "row",
        with_task(T1, lambda one: replace(one, state="CANCELED")),
    ),
    "a task that is over counts as active": (
        "row",
        with_task(T1, lambda one: replace(one, active=True)),
    ),
    "an executor is marked twice": (
        "executors_in_order",
        with_events(T2, lambda events: [*events[:3], events[2], *events[3:]]),
    ),
    "the second executor runs before the first has ended": (
        "executors_in_order",
        with_events(T2, lambda events: [*events[:3], ExecutorStarted(T2, EPOCH, 1), *events[3:]]),
    ),
    "an executor ends that never began": (
        "executors_in_order",
        with_events(T2, lambda events: [*events[:3], ExecutorExited(T2, EPOCH, 1, 0), *events[3:]]),
    ),
    "a container runs twice": (
        "started_as_marked",
        with_more("witness", two=(Mark(0, "start"), Mark(0, "start"))),
    ),
    "a container runs without a mark": (
        "started_as_marked",
        with_more("witness", two=(Mark(0, "start"), Mark(1, "start"))),
    ),
    "an exit is told that never was": (
        "stopped_as_told",
        with_more("witness", one=(Mark(0, "start"), Mark(1, "start"), Mark(1, "stop"))),
    ),
    "a container ends that never began": (
        "stopped_as_told",
        with_more("witness", two=(Mark(0, "stop"),)),
    ),
    "a complete task has not run all its executors": (
        "complete",
        with_task(T1, with_one_executor),
    ),
    "a complete task has not stored its output": (
        "complete",
        lambda good: replace(good, files={}),
    ),
    "a complete task says nothing of its output": (
        "complete",
        lambda good: replace(good, wanted={"one": {"one.text": "hello", "one.more": "x"}}),
    ),
    "an output is half there": ("whole", with_more("files", **{"one.text": "hel"})),
    "an unfinished file is left": ("whole", with_more("files", **{".funnel-12.part": "hel"})),
    "outputs are told of twice": (
        "stored_once",
        with_events(T1, lambda events: [*events[:-1], events[-2], events[-1]]),
    ),
    "a stream does not hear of a task": ("told", lambda good: replace(good, told={})),
    "a stream misses a message": ("told", with_told(lambda heard: heard[:-1])),
    "a stream hears what never was": ("told", with_told(lambda heard: [*heard, "t2-9-0"])),
    "a stream hears the end before the beginning": (
        "told",
        with_told(lambda heard: [*reversed(heard)]),
    ),
    "a stream hears again without what comes after": (
        "told",
        with_told(lambda heard: [*heard, heard[0], heard[-1]]),
    ),
    "a container is left": ("nothing_left", lambda good: replace(good, containers=("t1-0",))),
    "a work directory is left": ("nothing_left", lambda good: replace(good, workplaces=("t1",))),
    "an errand is left": ("nothing_left", lambda good: replace(good, outbox=("{}",))),
    "a container of others is removed": (
        "strangers_untouched",
        lambda good: replace(good, others=frozenset()),
    ),
    "the file is damaged": ("sound", lambda good: replace(good, integrity="row 1 missing")),
}


def test_good_evidence_breaks_no_law() -> None:
    assert not violations(GOOD)
    assert not violations(Evidence())


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    law, plant = PLANTED[name]
    assert law in {one.law for one in violations(plant(GOOD))}


def test_each_law_has_a_planted_fault() -> None:
    assert {law for law, _ in PLANTED.values()} == set(LAWS)
