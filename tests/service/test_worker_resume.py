"""A worker goes on where another one, which died, had stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import IO

import pytest
from attempts import Bench, codes, left, said, step, stopped
from msgspec.structs import replace

from funnel.core.container import (
    LABEL_ATTEMPT,
    LABEL_EXECUTOR,
    LABEL_TASK,
    Chunk,
    Container,
    Stream,
)
from funnel.core.event import (
    Change,
    ExecutorExited,
    ExecutorStarted,
    OutputsStored,
    StateChanged,
)
from funnel.core.state import State
from funnel.core.task import Input, Output, OutputFileLog, TaskId
from funnel.ports import unheard
from funnel.runtime.fake import FakeRuntime, Inside, Program
from funnel.testing.build import EPOCH

Programs = dict[str, Program]


class Gate:
    """A program that prints, waits at a gate, and prints again; it counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.open = asyncio.Event()

    async def __call__(self, inside: Inside) -> int:
        self.runs += 1
        await inside.write(b"before\n")
        await self.open.wait()
        await inside.write(b"after\n")
        return 7


@pytest.fixture
def gate(programs: Programs) -> Gate:
    programs["gate"] = one = Gate()
    return one


def container(task_id: TaskId, index: int = 0) -> Container:
    """As the worker before made it."""
    labels = {LABEL_TASK: task_id, LABEL_ATTEMPT: "1", LABEL_EXECUTOR: str(index)}
    return Container(name=f"{task_id}-{index}", image="alpine", command=("gate",), labels=labels)


def marked(task_id: TaskId) -> tuple[Change, ...]:
    return (
        StateChanged(task_id, EPOCH, State.INITIALIZING),
        StateChanged(task_id, EPOCH, State.RUNNING),
        ExecutorStarted(task_id, EPOCH, 0),
    )


async def test_the_next_worker_follows_the_same_container(bench: Bench, gate: Gate) -> None:
    task_id = await bench.create(
        step("gate", stdout="/out/a", ignore_error=True),
        step("hello"),
        outputs=(Output(path="/out/a", url=f"{bench.files}/a"),),
    )
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await stopped(work)
    gate.open.set()
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert (task.state, codes(task), gate.runs) == (State.COMPLETE, [7, 0], 1)
    assert task.logs[0].logs[0].stdout == "before\nafter\n"
    assert (bench.files / "a").read_text() == "before\nafter\n"


async def test_an_end_that_nobody_saw_is_found(bench: Bench, gate: Gate) -> None:
    task_id = await bench.create(step("gate"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await stopped(work)
    gate.open.set()
    await bench.runtime.wait(f"{task_id}-0")
    await bench.work_on(task_id)
    assert codes(await bench.see(task_id)) == [7]


async def test_a_container_without_a_mark_is_started(bench: Bench, gate: Gate) -> None:
    gate.open.set()
    task_id = await bench.create(step("gate"))
    await bench.runtime.create(container(task_id))
    await bench.work_on(task_id)
    assert (codes(await bench.see(task_id)), gate.runs) == ([7], 1)


async def test_a_container_with_a_mark_that_did_not_start_is_started(
    bench: Bench, gate: Gate
) -> None:
    gate.open.set()
    task_id = await bench.create(step("gate"))
    await bench.runtime.create(container(task_id))
    await bench.say(*marked(task_id), fence=1)
    await bench.work_on(task_id)
    assert (codes(await bench.see(task_id)), gate.runs) == ([7], 1)


async def test_a_container_that_is_gone_may_have_run(bench: Bench, gate: Gate) -> None:
    task_id = await bench.create(step("gate"))
    await bench.runtime.create(container(task_id, 1))
    await bench.say(*marked(task_id), fence=1)
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert (task.state, gate.runs) == (State.SYSTEM_ERROR, 0)
    assert f"container {task_id}-0 is gone" in said(task)


async def test_a_container_that_somebody_removes_is_gone(bench: Bench, gate: Gate) -> None:
    task_id = await bench.create(step("gate"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await bench.runtime.remove(f"{task_id}-0", grace=bench.worker().settings.stop_grace)
        await work
    task = await bench.see(task_id)
    assert task.state is State.SYSTEM_ERROR
    assert f"container {task_id}-0 is gone" in said(task)
    assert gate.runs == 1


async def test_what_was_done_is_not_done_again(bench: Bench, gate: Gate) -> None:
    task_id = await bench.create(step("hello"), step("gate"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await stopped(work)
    gate.open.set()
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert codes(task) == [0, 7]
    assert said(task).count("Running command") == 2
    assert said(task).count("msg='Version'") == 1


async def test_a_command_that_is_missing_takes_no_other_container_with_it(bench: Bench) -> None:
    task_id = await bench.create(step("no-such", ignore_error=True), step("hello"))
    await bench.runtime.create(replace(container(task_id, 1), command=("hello", "please")))
    await bench.work_on(task_id)
    assert codes(await bench.see(task_id)) == [127, 0]


async def test_outputs_are_not_stored_twice(bench: Bench) -> None:
    stored = OutputFileLog(url=f"{bench.files}/a", path="/out/a", size_bytes="5")
    task_id = await bench.create(step("hello"), outputs=(Output(path="/out/a", url=stored.url),))
    await bench.say(
        *marked(task_id),
        ExecutorExited(task_id, EPOCH, 0, 0),
        OutputsStored(task_id, EPOCH, (stored,)),
        fence=1,
    )
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert (task.state, task.logs[0].outputs) == (State.COMPLETE, (stored,))
    assert left(bench.files) == []


async def test_standard_input_that_was_cut_off_is_lost(bench: Bench, programs: Programs) -> None:
    class StuckFeed(FakeRuntime):
        async def feed(
            self, container_id: str, stdin: IO[bytes], *, fed: Callable[[], object] = unheard
        ) -> None:
            del container_id, stdin, fed
            await asyncio.Event().wait()

    async def reads(inside: Inside) -> int:
        await inside.write(b"reads\n")
        await inside.stdin()
        return 0

    programs["reads"] = reads
    bench.runtime = StuckFeed(programs)
    task_id = await bench.create(
        step("reads", stdin="/in/a"), inputs=(Input(content="x", path="/in/a"),)
    )
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "reads\n")
        await stopped(work)
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert task.state is State.SYSTEM_ERROR
    assert "not fed all of its standard input" in said(task)


async def test_a_failing_feed_ends_the_attempt(bench: Bench, programs: Programs) -> None:
    class NoFeed(FakeRuntime):
        async def feed(
            self, container_id: str, stdin: IO[bytes], *, fed: Callable[[], object] = unheard
        ) -> None:
            del container_id, stdin, fed
            raise BrokenPipeError("the engine went away")

    bench.runtime = NoFeed(programs)
    task = await bench.run(step("stay", stdin="/in/a"), inputs=(Input(content="x", path="/in/a"),))
    assert task.state is State.SYSTEM_ERROR
    assert "the engine went away" in said(task)
    assert not await bench.containers(task.id)


async def test_output_is_not_asked_for_twice(bench: Bench, programs: Programs, gate: Gate) -> None:
    asked: list[Mapping[Stream, int]] = []

    class Watched(FakeRuntime):
        def follow(self, container_id: str, *, skip: Mapping[Stream, int]) -> AsyncIterator[Chunk]:
            asked.append(dict(skip))
            return super().follow(container_id, skip=skip)

    bench.runtime = Watched(programs)
    task_id = await bench.create(step("gate"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await stopped(work)
    gate.open.set()
    await bench.work_on(task_id)
    assert [one[Stream.STDOUT] for one in asked] == [0, len("before\n")]
