"""A worker is stopped: by a cancel, by another attempt, or with its server."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from attempts import Bench, Counted, codes, left, said, step, stopped

from funnel.core.container import LABEL_ATTEMPT, LABEL_TASK, Container
from funnel.core.error import NotFound, Unavailable
from funnel.core.event import Requeued
from funnel.core.fold import Progress
from funnel.core.state import State
from funnel.core.task import Input, Output, TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.ports import Object, Share
from funnel.runtime.fake import FakeRuntime, Inside, Program
from funnel.service.output import HELD
from funnel.storage.local import LocalStorage
from funnel.testing.build import EPOCH

Programs = dict[str, Program]


class Stuck:
    """Something that never ends, which a test can wait for."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def here(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


class StuckPull(FakeRuntime):
    stuck: Stuck

    async def pull(self, image: str) -> None:
        del image
        await self.stuck.here()


class StuckStorage(LocalStorage):
    stuck: Stuck

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        del url, to, share
        await self.stuck.here()
        raise Unavailable

    async def put(
        self, source: object, url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        del source, url, share, overwrite
        await self.stuck.here()
        raise Unavailable


async def cancel(bench: Bench, task_id: TaskId, work: asyncio.Task[None]) -> None:
    """As dispatch does it: first the state, then the worker."""
    await bench.cancel(task_id)
    await stopped(work)
    task = await bench.see(task_id)
    assert task.state is State.CANCELED
    assert "msg='Canceled'" in said(task)
    assert not await bench.containers(task_id)
    assert left(bench.work) == []


async def test_a_cancel_stops_the_container_and_what_would_follow(bench: Bench) -> None:
    task_id = await bench.create(step("stay"), step("hello"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await cancel(bench, task_id, work)
    assert codes(await bench.see(task_id)) == [None]


async def test_what_was_printed_before_a_cancel_is_kept(bench: Bench, programs: Programs) -> None:
    more = asyncio.Event()

    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await more.wait()
        await inside.write(b"." * HELD + b"last words\n")
        await inside.stopping.wait()
        return 143

    async def captured() -> bool:
        return (bench.work / task_id / "1" / "private" / "stdout-0").stat().st_size > HELD

    programs["talks"] = program
    bench.settings["log_update_rate"] = timedelta(minutes=1)
    task_id = await bench.create(step("talks"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        more.set()
        await bench.until(captured)
        await cancel(bench, task_id, work)
    (log,) = (await bench.see(task_id)).logs[-1].logs
    assert log.stdout.endswith("...last words\n")


async def test_a_cancel_asks_before_it_kills(bench: Bench, programs: Programs) -> None:
    asked = asyncio.Event()

    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await inside.stopping.wait()
        asked.set()
        return 143

    programs["polite"] = program
    task_id = await bench.create(step("polite"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await cancel(bench, task_id, work)
    assert asked.is_set()


async def test_what_is_printed_in_the_grace_of_a_cancel_is_kept(
    bench: Bench, programs: Programs
) -> None:
    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await inside.stopping.wait()
        await inside.write(b"bye\n")
        return 143

    programs["polite"] = program
    task_id = await bench.create(step("polite"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await cancel(bench, task_id, work)
    (log,) = (await bench.see(task_id)).logs[-1].logs
    assert log.stdout == "here\nbye\n"


async def test_of_what_a_task_that_is_over_refuses_the_printed_is_kept(
    bench: Bench, programs: Programs
) -> None:
    """The end of the container is said together with its output, and the cancel was first."""

    async def program(inside: Inside) -> int:
        await bench.cancel(TaskId(inside.container.labels[LABEL_TASK]))
        await inside.write(b"bye\n")
        return 0

    programs["cancels"] = program
    bench.settings["log_update_rate"] = timedelta(0)
    task = await bench.run(step("cancels"), step("hello"))
    assert task.state is State.CANCELED
    assert [one.stdout for one in task.logs[-1].logs] == ["bye\n"]


async def test_a_cancel_works_while_an_image_is_pulled(bench: Bench, programs: Programs) -> None:
    bench.runtime = runtime = StuckPull(programs)
    runtime.stuck = Stuck()
    task_id = await bench.create(step("hello"))
    async with bench.working(task_id) as work:
        await runtime.stuck.reached.wait()
        await cancel(bench, task_id, work)


@pytest.mark.parametrize("way", ["in", "out"])
async def test_a_cancel_works_while_a_file_is_moved(bench: Bench, way: str) -> None:
    bench.storage = storage = StuckStorage([bench.files])
    storage.stuck = Stuck()
    bench.settings["copy_inputs"] = True
    (bench.files / "in").touch()
    inputs = (Input(url=f"{bench.files}/in", path="/in/a"),) if way == "in" else ()
    outputs = (Output(url=f"{bench.files}/a", path="/out/a"),)
    task_id = await bench.create(step("hello", stdout="/out/a"), inputs=inputs, outputs=outputs)
    async with bench.working(task_id) as work:
        await storage.stuck.reached.wait()
        await cancel(bench, task_id, work)


async def test_a_cancel_is_heard_without_being_told(bench: Bench) -> None:
    """The answer to its own events tells a worker that its task is over."""
    bench.storage = storage = StuckStorage([bench.files])
    storage.stuck = Stuck()
    bench.settings["copy_inputs"] = True
    (bench.files / "in").touch()
    task_id = await bench.create(
        step("hello"), inputs=(Input(url=f"{bench.files}/in", path="/in/a"),)
    )
    async with bench.working(task_id) as work:
        await storage.stuck.reached.wait()
        await bench.cancel(task_id)
        await work
    assert "msg='Canceled'" in said(await bench.see(task_id))
    assert left(bench.work) == []


async def test_a_cancel_is_heard_at_the_next_step(bench: Bench, programs: Programs) -> None:
    async def program(inside: Inside) -> int:
        await bench.cancel(TaskId(inside.container.labels[LABEL_TASK]))
        return 0

    programs["cancels"] = program
    task = await bench.run(step("cancels"), step("hello"))
    assert (task.state, codes(task)) == (State.CANCELED, [None])
    assert not await bench.containers(task.id)


async def test_nothing_starts_for_a_task_that_is_over(bench: Bench) -> None:
    task_id = await bench.create(step("hello"))
    await bench.cancel(task_id)
    await bench.work_on(task_id)
    assert codes(await bench.see(task_id)) == []


async def test_a_worker_that_goes_with_its_server_leaves_the_container(bench: Bench) -> None:
    task_id = await bench.create(step("stay"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await stopped(work)
    assert (await bench.containers(task_id))[f"{task_id}-0"].running
    assert (await bench.see(task_id)).state is State.RUNNING


class Forgetful(Counted):
    """A database that after its first answer knows nothing of progress."""

    def __init__(self, database: SqliteDatabase, error: Exception) -> None:
        super().__init__(database)
        self._error = error
        self._known = True
        self.progress = self._progress

    async def _progress(self, task_id: TaskId) -> Progress:
        if not self._known:
            raise self._error
        self._known = False
        return await self._database.progress(task_id)


@pytest.mark.parametrize(("error", "stays"), [(OSError("a cable"), True), (NotFound(), False)])
async def test_where_the_state_cannot_be_known_the_container_stays(
    bench: Bench, error: Exception, *, stays: bool
) -> None:
    bench.tasks = Forgetful(bench.database, error)
    task_id = await bench.create(step("stay"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await stopped(work)
    assert bool(await bench.containers(task_id)) is stays


async def test_an_attempt_that_was_overtaken_takes_only_its_own_with_it(bench: Bench) -> None:
    task_id = await bench.create(step("stay"))
    newer = Container(
        name="newer",
        image="alpine",
        command=("stay",),
        labels={LABEL_TASK: task_id, LABEL_ATTEMPT: "2"},
    )
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await bench.runtime.create(newer)
        await bench.say(Requeued(task_id, EPOCH, "try again"))
        await stopped(work)
    assert list(await bench.containers(task_id)) == ["newer"]


async def test_a_new_attempt_removes_what_an_old_one_left(bench: Bench) -> None:
    task_id = await bench.create(step("hello"))
    await bench.runtime.create(
        Container(
            name=f"{task_id}-0",
            image="alpine",
            command=("stay",),
            labels={LABEL_TASK: task_id, LABEL_ATTEMPT: "1"},
        )
    )
    await bench.say(Requeued(task_id, EPOCH, "try again"))
    await bench.work_on(task_id, fence=2)
    task = await bench.see(task_id)
    assert (task.state, codes(task)) == (State.COMPLETE, [0])
    assert len(task.logs) == 2
