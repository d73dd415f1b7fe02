"""A worker that is away from its server: what becomes of its container and of the task."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from attempts import PATIENCE, Bench, Program, left, said, says, stays, step
from place import STEADY, Place

from funnel.core.event import Accepted, Requeued
from funnel.core.state import State
from funnel.core.task import Output, Resources, TaskId
from funnel.link.gated import Gated
from funnel.link.link import Link
from funnel.link.unsaid import is_left
from funnel.runtime.fake import FakeRuntime, Inside
from funnel.service.away import Away, clear_attempts
from funnel.testing.build import EPOCH

TWICE = Resources(backend_parameters={"max_attempts": "2"})


@pytest.fixture
async def bench(place: Place, tmp_path: Path) -> AsyncGenerator[Bench]:
    programs: dict[str, Program] = {"hello": says("hello\n"), "fail": says("", code=3)}
    runtime = FakeRuntime({**programs, "stay": stays}, images=frozenset({"alpine"}))
    yield Bench(place.database, runtime, tmp_path)
    await runtime.close()


def away(bench: Bench, link: Link, task_id: TaskId) -> Away:
    bench.tasks = link
    bench.storage = Gated(bench.storage, link.authority)
    return Away(bench.worker(), link, task_id, lambda: 0.0)


@asynccontextmanager
async def working(
    bench: Bench, link: Link, task_id: TaskId
) -> AsyncGenerator[tuple[asyncio.Task[None], asyncio.Event]]:
    """A worker whose container runs, and what stops it."""
    stop = asyncio.Event()
    work = asyncio.create_task(away(bench, link, task_id).run(stop))
    await bench.prints(task_id, "here")
    async with asyncio.timeout(PATIENCE):
        yield work, stop
        await work


async def nothing_left(bench: Bench, task_id: TaskId) -> None:
    assert not await bench.containers(task_id)
    assert not left(bench.work)


async def test_a_task_runs_to_its_end(place: Place, bench: Bench) -> None:
    output = Output(path="/out/a", url=str(bench.files / "a"))
    executors = (step("hello", stdout="/out/a"),)
    task_id = await place.create(executors=executors, outputs=(output,))
    async with place.server() as attendance, place.link(task_id) as link:
        await away(bench, link, task_id).run(asyncio.Event())
        assert link.task.state is State.COMPLETE
        assert attendance.holding == 0
    task = await place.see(task_id)
    assert task.state is State.COMPLETE
    assert (bench.files / "a").read_text() == "hello\n"
    await nothing_left(bench, task_id)


async def test_a_cancel_stops_the_container(place: Place, bench: Bench) -> None:
    task_id = await place.create(executors=(step("stay"),))
    async with place.server(), place.link(task_id) as link:
        async with working(bench, link, task_id):
            await place.cancel(task_id)
        assert link.task.state is State.CANCELED
    await nothing_left(bench, task_id)
    assert "Canceled" in said(await place.see(task_id))


async def test_a_worker_that_is_stopped_says_why_when_nothing_runs(
    place: Place, bench: Bench
) -> None:
    task_id = await place.create(executors=(step("stay"),))
    async with place.server(), place.link(task_id) as link:
        async with working(bench, link, task_id) as (_, stop):
            stop.set()
        await nothing_left(bench, task_id)
        assert link.task.state is State.SYSTEM_ERROR
    assert "its worker was told to stop" in said(await place.see(task_id))


async def test_a_worker_that_is_stopped_leaves_the_next_attempt_to_another(
    place: Place, bench: Bench
) -> None:
    task_id = await place.create(executors=(step("stay"),), resources=TWICE)
    async with place.server(), place.link(task_id) as link:
        async with working(bench, link, task_id) as (_, stop):
            stop.set()
        assert link.fence == 2
    assert (await place.see(task_id)).state is State.QUEUED


async def test_a_worker_that_may_not_go_on_stops_its_container(place: Place, bench: Bench) -> None:
    """It is not heard, and another may have the next attempt."""
    place.terms = STEADY
    task_id = await place.create(executors=(step("stay"),), resources=TWICE)
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            work = await stack.enter_async_context(working(bench, link, task_id))
        place.late = STEADY.lease
        await work[0]
        await nothing_left(bench, task_id)


async def test_a_container_outlives_an_absence_of_the_server(place: Place, bench: Bench) -> None:
    """And what it stores, is stored when the attempt is surely its own again."""
    place.terms = STEADY
    go = asyncio.Event()

    async def program(inside: Inside) -> int:
        await inside.write(b"here\n")
        await go.wait()
        return 0

    bench.runtime = FakeRuntime({"wait": program}, images=frozenset({"alpine"}))
    output = Output(path="/out/a", url=str(bench.files / "a"))
    task_id = await place.create(executors=(step("wait", stdout="/out/a"),), outputs=(output,))
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            await stack.enter_async_context(working(bench, link, task_id))
        place.late = STEADY.lease
        go.set()
        await asyncio.sleep(0.3)
        assert not (bench.files / "a").exists()
        await stack.enter_async_context(place.server())
        await place.until_state(task_id, State.COMPLETE)
    assert (bench.files / "a").read_text() == "here\n"
    await bench.runtime.close()


async def test_what_a_dead_worker_left_of_an_earlier_attempt_goes(
    place: Place, bench: Bench
) -> None:
    task_id = await place.create(executors=(step("stay"),))
    async with place.server():
        async with place.link(task_id) as link:
            bench.tasks = link
            async with bench.working(task_id):
                await bench.prints(task_id, "here")
        assert await bench.containers(task_id)
        await place.say(Requeued(task_id, EPOCH, "gone"))
        await place.say(Accepted(task_id, EPOCH, "2"))
        async with place.link(task_id) as link:
            stop = asyncio.Event()
            stop.set()
            await away(bench, link, task_id).run(stop)
        await nothing_left(bench, task_id)


async def test_who_comes_too_late_clears_up(place: Place, bench: Bench) -> None:
    """But not what another process runs: two machines may have one work directory."""
    task_id = await place.create(executors=(step("stay"),))

    async def clear() -> None:
        await clear_attempts(
            bench.worker(), task_id, lambda fence: is_left(place.unsaid(task_id, fence))
        )

    async with place.server(), place.link(task_id) as link:
        bench.tasks = link
        async with bench.working(task_id):
            await bench.prints(task_id, "here")
            await clear()
            assert await bench.containers(task_id)
    await clear()
    await nothing_left(bench, task_id)
