"""A worker without any database."""

import asyncio
from contextlib import suppress

from attempts import Bench, codes, left, said, step, stopped

from funnel.core.event import ExecutorStarted
from funnel.core.state import State
from funnel.core.task import Output, TaskId
from funnel.service.solo import Solo
from funnel.testing.build import EPOCH, batch, printed, spec


def solo(bench: Bench, program: str) -> Solo:
    output = Output(path="/out/a", url=f"{bench.files}/a")
    asked = spec(executors=(step(program, stdout="/out/a"),), outputs=(output,))
    bench.tasks = one = Solo(TaskId("solo"), asked, lambda: EPOCH)
    return one


async def test_the_task_is_shown_as_it_ended(bench: Bench) -> None:
    task = await solo(bench, "hello").run(bench.worker().run)
    assert (task.state, codes(task)) == (State.COMPLETE, [0])
    assert task.logs[0].logs[0].stdout == "hello world\n"
    assert [one.size_bytes for one in task.logs[0].outputs] == ["12"]
    assert "msg='Version'" in said(task)
    assert left(bench.work) == []


async def test_to_stop_it_is_to_cancel_the_task(bench: Bench) -> None:
    one = solo(bench, "stay")
    running = asyncio.create_task(one.run(bench.worker().run))

    async def prints() -> bool:
        return any(log.stdout for log in one.task.logs[0].logs)

    await bench.until(prints)
    await stopped(running)
    assert one.task.state is State.CANCELED
    assert not await bench.containers(one.task_id)
    assert left(bench.work) == []


async def test_to_stop_it_after_its_end_changes_nothing(bench: Bench) -> None:
    one = solo(bench, "hello")
    worked = asyncio.Event()

    async def work(task_id: TaskId, fence: int) -> None:
        await bench.worker().run(task_id, fence)
        worked.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(one.run(work))
    await worked.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert one.task.state is State.COMPLETE


async def test_no_more_output_is_shown_than_is_kept(bench: Bench) -> None:
    one = solo(bench, "hello")
    await one.append(batch(ExecutorStarted(one.task_id, EPOCH, 0)))
    for n in range(10):
        await one.append(batch(printed(one.task_id, f"line {n}\n", start=n * 7, keep=14)))
    await one.append(batch(printed(one.task_id, "LINE 9\n", start=63, keep=14)))
    assert one.task.logs[0].logs[0].stdout == "line 8\nLINE 9\n"
