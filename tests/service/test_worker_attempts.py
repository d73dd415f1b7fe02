"""One task, tried more than once: unasked before any container could start, or as it asks for."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attempts import Bench, codes, left, said, says, sees, step, stopped

from funnel.core.container import LABEL_ATTEMPT, LABEL_TASK, Container, Exited
from funnel.core.error import NotFound, Unavailable
from funnel.core.event import Accepted, ExecutorExited, ExecutorStarted, Requeued
from funnel.core.state import State
from funnel.core.task import Input, Output, Resources, Task, TaskId
from funnel.core.work import Submit
from funnel.ports import Object, Share
from funnel.runtime.fake import FakeRuntime, Inside, Program
from funnel.service.limit import Limit
from funnel.service.solo import Solo
from funnel.storage.local import LocalStorage
from funnel.testing.build import EPOCH, MINUTE, feed, moved, spec

Programs = dict[str, Program]


def asks(**parameters: str) -> Resources:
    return Resources(backend_parameters=parameters)


class Flaky(FakeRuntime):
    """The engine is away for the first calls of one kind."""

    def __init__(self, programs: Programs, **away: int) -> None:
        super().__init__(programs)
        self._away = away

    async def pull(self, image: str) -> None:
        self._check("pull")
        await super().pull(image)

    async def create(self, container: Container) -> str:
        self._check("create")
        return await super().create(container)

    async def start(self, container_id: str) -> None:
        self._check("start")
        await super().start(container_id)

    def _check(self, call: str) -> None:
        self._away[call] = self._away.get(call, 0) - 1
        if self._away[call] >= 0:
            raise Unavailable("the engine is away")


async def to_the_end(bench: Bench, task_id: TaskId) -> Task:
    """As dispatch and backend do it, without the pauses."""
    while not (task := await bench.see(task_id)).logs[-1].end_time:
        fence = len(task.logs)
        await bench.say(Accepted(task_id, EPOCH, f"{task_id}-{fence}"))
        await bench.work_on(task_id, fence)
    return task


async def run(bench: Bench, *executors: Any, **given: Any) -> Task:
    return await to_the_end(bench, await bench.create(*executors, **given))


@pytest.mark.parametrize("call", ["pull", "create"])
async def test_an_engine_that_is_away_before_the_start_costs_an_attempt_only(
    bench: Bench, programs: Programs, call: str
) -> None:
    bench.runtime = Flaky(programs, **{call: 3 if call == "create" else 1})
    task = await run(bench, step("hello"))
    assert (task.state, codes(task)) == (State.COMPLETE, [0])
    first, *_, last = task.logs
    assert len(task.logs) == (4 if call == "create" else 2)
    assert not any(one.start_time for one in first.logs)
    assert first.start_time
    assert first.end_time
    assert "error='the engine is away'" in "".join(first.system_logs)
    assert "msg='trying again' " in first.system_logs[-1]
    assert "reason='not_started' attempt='2'" in first.system_logs[-1]
    assert "task_attempt='0'" in first.system_logs[-1]
    assert "task_attempt" in "".join(last.system_logs)
    assert left(bench.work) == []


async def test_once_a_container_may_have_started_nothing_is_tried_again(
    bench: Bench, programs: Programs
) -> None:
    bench.runtime = Flaky(programs, start=1)
    task = await run(bench, step("hello"))
    assert (task.state, len(task.logs)) == (State.SYSTEM_ERROR, 1)


async def test_patience_with_what_does_not_pass_has_an_end(
    bench: Bench, programs: Programs
) -> None:
    bench.runtime = Flaky(programs, pull=1000)
    task = await run(bench, step("hello"))
    assert (task.state, len(task.logs)) == (State.SYSTEM_ERROR, 6)
    assert "the engine is away" in said(task)


@pytest.mark.parametrize("error", [Unavailable("the store is away"), OSError(28, "no space left")])
async def test_an_input_is_fetched_again_where_that_may_help(
    bench: Bench, error: Exception
) -> None:
    errors: list[Exception] = [error]

    class Away(LocalStorage):
        async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
            if errors:
                raise errors.pop()
            return await super().get(url, to, share)

    (bench.files / "in").write_text("x")
    bench.storage = Away([bench.files])
    bench.settings["copy_inputs"] = True
    task = await run(bench, step("hello"), inputs=(Input(url=f"{bench.files}/in", path="/in/a"),))
    assert (task.state, len(task.logs)) == (State.COMPLETE, 2)


async def test_what_is_the_fault_of_the_task_is_told_at_once(bench: Bench) -> None:
    missing = (Input(url=f"{bench.files}/none", path="/in/a"),)
    for given in (
        {"inputs": missing},
        {"outputs": (Output(path="/out/a", url="odd://a/b"),)},
    ):
        task = await run(bench, step("hello"), resources=asks(max_attempts="5"), **given)
        assert (task.state, len(task.logs)) == (State.SYSTEM_ERROR, 1)
    task = await run(bench, step("hello", image="none"), resources=asks(max_attempts="5"))
    assert (task.state, len(task.logs)) == (State.SYSTEM_ERROR, 1)
    task = await run(bench, step("no-such"), resources=asks(max_attempts="5"))
    assert (task.state, codes(task), len(task.logs)) == (State.EXECUTOR_ERROR, [127], 1)


async def test_the_next_attempt_is_due_after_its_pause(bench: Bench, programs: Programs) -> None:
    bench.runtime = Flaky(programs, pull=1)
    task_id = await bench.create(step("hello"))
    await bench.database.claim("local", limit=9, lease=MINUTE)
    await bench.work_on(task_id)
    (event,) = [one.event for one in await feed(bench.database) if isinstance(one.event, Requeued)]
    assert 0.5 <= event.pause <= 1.0
    claimed: list[Any] = []

    async def is_due() -> bool:
        claimed.extend(await bench.database.claim("local", limit=9, lease=MINUTE))
        return len(claimed) > 1

    began = time.monotonic()
    await bench.until(is_due)
    assert time.monotonic() - began > event.pause / 2
    assert claimed[-1].work == Submit(task_id, 2, event.pause)


def fails_at_first(times: int, code: int = 3) -> Program:
    left_to_fail = [code] * times

    async def program(inside: Inside) -> int:
        await inside.write(f"{len(left_to_fail)} left\n".encode())
        return left_to_fail.pop() if left_to_fail else 0

    return program


async def test_a_task_is_tried_as_often_as_it_asks(bench: Bench, programs: Programs) -> None:
    programs["flaky"] = fails_at_first(2)
    output = Output(path="/out/a", url=f"{bench.files}/a")
    asked = asks(max_attempts="3", retry_on="3")
    task = await run(bench, step("flaky", stdout="/out/a"), resources=asked, outputs=(output,))
    assert (task.state, len(task.logs)) == (State.COMPLETE, 3)
    assert [log.logs[0].exit_code for log in task.logs] == [3, 3, 0]
    assert [log.logs[0].stdout for log in task.logs] == ["2 left\n", "1 left\n", "0 left\n"]
    assert [len(log.outputs) for log in task.logs] == [0, 0, 1]
    assert (bench.files / "a").read_text() == "0 left\n"
    assert "reason='3' attempt='3'" in task.logs[1].system_logs[-1]
    assert left(bench.work) == []


async def test_the_last_attempt_has_its_outputs_though_it_failed(
    bench: Bench, programs: Programs
) -> None:
    programs["flaky"] = fails_at_first(9)
    output = Output(path="/out/a", url=f"{bench.files}/a")
    asked = asks(max_attempts="2")
    task = await run(bench, step("flaky", stdout="/out/a"), resources=asked, outputs=(output,))
    assert (task.state, len(task.logs)) == (State.EXECUTOR_ERROR, 2)
    assert (bench.files / "a").read_text() == "8 left\n"


async def test_another_failure_is_not_tried_again(bench: Bench, programs: Programs) -> None:
    programs["flaky"] = fails_at_first(1, code=4)
    task = await run(bench, step("flaky"), resources=asks(max_attempts="3", retry_on="3"))
    assert (task.state, len(task.logs)) == (State.EXECUTOR_ERROR, 1)


async def test_a_lost_container_is_a_system_error_to_try_again(
    bench: Bench, programs: Programs
) -> None:
    class Losing(FakeRuntime):
        lost = False

        async def wait(self, container_id: str) -> Exited:
            if not self.lost:
                self.lost = True
                raise NotFound(f"no container {container_id}")
            return await super().wait(container_id)

    bench.runtime = Losing(programs)
    asked = asks(max_attempts="2", retry_on="system_error")
    task = await run(bench, step("hello"), resources=asked)
    assert (task.state, len(task.logs), codes(task)) == (State.COMPLETE, 2, [0])


async def test_attempts_are_counted_over_restarts(bench: Bench, programs: Programs) -> None:
    """The second worker of the second attempt knows of the first attempt by its events only."""
    gate = asyncio.Event()

    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await gate.wait()
        return 3

    programs["fails"] = says("", code=3)
    programs["gate"] = program
    task_id = await bench.create(step("gate"), resources=asks(max_attempts="2"))
    gate.set()
    await bench.work_on(task_id)
    gate.clear()
    work = asyncio.create_task(bench.worker().run(task_id, 2))
    await bench.prints(task_id, "here\n")
    await stopped(work)
    gate.set()
    task = await to_the_end(bench, task_id)
    assert (task.state, len(task.logs)) == (State.EXECUTOR_ERROR, 2)


async def test_a_cancel_between_attempts_is_the_end(bench: Bench, programs: Programs) -> None:
    bench.runtime = Flaky(programs, pull=9)
    task_id = await bench.create(step("hello"))
    await bench.work_on(task_id)
    await bench.cancel(task_id)
    await bench.work_on(task_id, 2)
    task = await bench.see(task_id)
    assert (task.state, len(task.logs)) == (State.CANCELED, 2)
    assert left(bench.work) == []


async def test_what_runs_too_long_is_stopped_and_fails(bench: Bench) -> None:
    began = time.monotonic()
    task = await run(
        bench, step("stay", ignore_error=True), step("hello"), resources=asks(timeout="300ms")
    )
    assert time.monotonic() - began >= 0.3
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [124])
    assert task.logs[0].logs[0].stdout == "here\n"
    assert task.logs[0].metadata["executor.0.timed_out"] == "true"
    assert "timeout of 300ms is over" in said(task)
    assert not await bench.containers(task.id)


async def test_what_ends_in_time_knows_no_limit(bench: Bench) -> None:
    task = await run(bench, step("hello"), step("hello"), resources=asks(timeout="1h"))
    assert (task.state, codes(task)) == (State.COMPLETE, [0, 0])


async def test_a_timeout_may_be_tried_again(bench: Bench) -> None:
    asked = asks(timeout="100ms", max_attempts="2", retry_on="timeout")
    task = await run(bench, step("stay"), resources=asked)
    assert (task.state, [one.logs[0].exit_code for one in task.logs]) == (
        State.EXECUTOR_ERROR,
        [124, 124],
    )


async def test_time_runs_on_while_no_server_does(bench: Bench) -> None:
    task_id = await bench.create(step("stay"), resources=asks(timeout="1h"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await stopped(work)
    mark = bench.work / task_id / "1" / "private" / "began"
    mark.write_text(repr(float(mark.read_text()) - 3600))
    await bench.work_on(task_id)
    assert codes(await bench.see(task_id)) == [124]


@pytest.mark.parametrize("is_made", [False, True])
async def test_nothing_is_started_when_no_time_is_left(
    bench: Bench, programs: Programs, *, is_made: bool
) -> None:
    """The server was stopped between two executors, or before it could start what it had made."""
    seen = sees(programs, "late")
    task_id = await bench.create(step("hello"), step("late"), resources=asks(timeout="1h"))
    await bench.say(
        moved(task_id, State.RUNNING),
        ExecutorStarted(task_id, EPOCH, 0),
        ExecutorExited(task_id, EPOCH, 0, 0),
        *([ExecutorStarted(task_id, EPOCH, 1)] if is_made else []),
    )
    if is_made:
        labels = {LABEL_TASK: task_id, LABEL_ATTEMPT: "1"}
        late = Container(name=f"{task_id}-1", image="alpine", command=("late",), labels=labels)
        await bench.runtime.create(late)
    private = bench.work / task_id / "1" / "private"
    private.mkdir(parents=True)
    (private / "began").write_text(repr(time.monotonic() - 3600))
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert (seen, codes(task)) == ([], [0, 124])
    assert task.logs[0].metadata["executor.1.timed_out"] == "true"
    assert "executor 1 was not started: the task\\'s timeout of 1h is over" in said(task)
    assert not await bench.containers(task_id)


def counted(tmp_path: Path, seconds: float = 10.0) -> tuple[Callable[[], Limit], list[float]]:
    """Limits of one attempt, each as a new server makes it, and the clock they read."""
    clock = [1000.0]
    return (lambda: Limit(seconds, tmp_path / "began", lambda: clock[0])), clock


def test_a_limit_counts_from_the_first_start_only(tmp_path: Path) -> None:
    limit, clock = counted(tmp_path)
    first = limit()
    first.begin()
    clock[0] += 4
    first.begin()
    second = limit()
    second.begin()
    assert first.left() == second.left() == 6.0
    clock[0] += 60
    assert second.left() == 0.0


def test_a_limit_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "began").write_text("")
    limit, _ = counted(tmp_path)
    one = limit()
    one.begin()
    assert one.left() == 10.0


async def test_a_worker_by_itself_tries_again_too(bench: Bench, programs: Programs) -> None:
    programs["flaky"] = fails_at_first(1)
    asked = spec(executors=(step("flaky"),), resources=asks(max_attempts="2"))
    bench.tasks = one = Solo(TaskId("solo"), asked, lambda: EPOCH)
    task = await one.run(bench.worker().run)
    assert (task.state, [log.logs[0].stdout for log in task.logs]) == (
        State.COMPLETE,
        ["1 left\n", "0 left\n"],
    )


async def test_the_next_container_is_at_hand_and_starts_in_its_turn(
    bench: Bench, programs: Programs
) -> None:
    """While the first runs, the second is there, marked by nobody; the one before goes."""
    gate = asyncio.Event()

    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await gate.wait()
        return 0

    programs["gate"] = program
    task_id = await bench.create(step("hello"), step("gate"), step("hello"))

    async def has_made_room() -> bool:
        known = await bench.containers(task_id)
        return [(name, one.started) for name, one in sorted(known.items())] == [
            (f"{task_id}-1", True),
            (f"{task_id}-2", False),
        ]

    async with bench.working(task_id) as work:
        await bench.until(has_made_room)
        assert len((await bench.see(task_id)).logs[0].logs) == 2
        gate.set()
        await work
    assert codes(await bench.see(task_id)) == [0, 0, 0]
    assert not await bench.containers(task_id)


async def test_a_container_made_early_goes_with_the_failure_before_it(bench: Bench) -> None:
    task = await bench.run(step("fail"), step("hello"))
    assert codes(task) == [3]
    assert not await bench.containers(task.id)
