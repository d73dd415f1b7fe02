"""Containers that nobody works on are removed, and no others."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from attempts import Bench, left, step

from funnel.core.container import LABEL_ATTEMPT, LABEL_TASK, Container
from funnel.core.task import TaskId
from funnel.ports import Runtime
from funnel.service.leftovers import clear_leftovers, is_foreign
from funnel.service.sweep import Sweep
from funnel.service.workplace import Owner

NOW = timedelta(0)


async def nobody_knows(_task_id: TaskId, _fence: int) -> bool:
    return False


async def made(runtime: Runtime, name: str, task_id: str, attempt: int = 1) -> str:
    labels = {LABEL_TASK: task_id, LABEL_ATTEMPT: str(attempt)}
    return await runtime.create(
        Container(name=name, image="alpine", command=("hello",), labels=labels)
    )


async def names(runtime: Runtime) -> list[str]:
    return sorted(one.name for one in await runtime.found())


async def test_what_belongs_to_an_attempt_at_work_stays(bench: Bench) -> None:
    working, over = await bench.create(step("hello")), await bench.create(step("hello"))
    await bench.cancel(over)
    runtime = bench.runtime
    await made(runtime, "working", working)
    await made(runtime, "over", over)
    await made(runtime, "stale", working, attempt=0)
    await made(runtime, "unknown", TaskId("nobody"))
    await Sweep(bench.database, runtime, stop_grace=NOW, is_foreign=nobody_knows, grace=NOW).once()
    assert await names(runtime) == ["working"]


async def test_only_what_was_seen_for_as_long_as_the_grace_is_removed(bench: Bench) -> None:
    hour, seconds = timedelta(hours=1), 0.0
    sweep = Sweep(
        bench.database,
        bench.runtime,
        stop_grace=NOW,
        is_foreign=nobody_knows,
        grace=hour,
        clock=lambda: seconds,
    )
    await made(bench.runtime, "first", "nobody")
    await sweep.once()
    seconds += 3599
    await made(bench.runtime, "second", "nobody")
    await sweep.once()
    assert await names(bench.runtime) == ["first", "second"]
    seconds += 1
    await sweep.once()
    assert await names(bench.runtime) == ["second"]


async def test_what_another_server_may_know_stays(bench: Bench) -> None:
    """It had this work directory before, or a worker of another server has it now."""
    worker = replace(bench.worker(), database="ours")
    for task, database in (("theirs", "theirs"), ("ours", "ours"), ("older", "")):
        owner = Owner(worker.deployment, "alpine", database)
        worker.place(TaskId(task), 1).make(owner)
        await made(bench.runtime, task, task)
    foreign = partial(is_foreign, worker)
    await Sweep(bench.database, bench.runtime, stop_grace=NOW, is_foreign=foreign, grace=NOW).once()
    assert await names(bench.runtime) == ["theirs"]
    await clear_leftovers(worker)
    assert [one.name for one in left(bench.work)] == ["theirs"]
