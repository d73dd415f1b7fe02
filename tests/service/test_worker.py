"""One attempt from start to end, in containers that are Python functions."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from attempts import Bench, Counted, codes, left, said, says, sees, step

from funnel.core.container import (
    LABEL_ATTEMPT,
    LABEL_EXECUTOR,
    LABEL_TASK,
    Exited,
    Found,
)
from funnel.core.error import Unavailable
from funnel.core.state import State
from funnel.core.task import Executor, Input, Output, Resources, TaskId
from funnel.runtime.fake import FakeRuntime, Inside, Program

Programs = dict[str, Program]


async def test_a_task_goes_all_the_way(bench: Bench) -> None:
    task = await bench.run(step("hello"))
    (log,) = task.logs
    assert (task.state, codes(task)) == (State.COMPLETE, [0])
    assert (log.logs[0].stdout, log.logs[0].stderr) == ("hello world\n", "")
    assert log.start_time
    assert log.end_time
    assert log.logs[0].start_time
    assert log.logs[0].end_time
    assert log.metadata["hostname"] == "here"


async def test_where_the_time_went_is_told(bench: Bench, programs: Programs) -> None:
    async def slow(inside: Inside) -> int:
        del inside
        await asyncio.sleep(0.2)
        return 0

    programs["slow"] = slow
    told = (await bench.run(step("slow"))).logs[0].metadata
    names = ("waiting", "staging", "running", "publishing")
    waiting, staging, running, publishing = (float(told[f"seconds_{name}"]) for name in names)
    assert running >= 0.2
    assert waiting == 0.0
    assert min(staging, publishing) >= 0.0


async def test_the_system_log_tells_the_steps(bench: Bench) -> None:
    (bench.files / "in").write_text("x")
    task = await bench.run(
        step("hello", "a b", env={"PASSWORD": "hidden"}),
        inputs=(Input(url=f"{bench.files}/in", path="/in/a"),),
    )
    lines = said(task)
    assert "msg='Version'" in lines
    assert "msg='Running command'" in lines
    assert r"cmd='hello \'a b\''" in lines
    assert f"containerName='{task.id}-0'" in lines
    assert "containerID='" in lines
    assert "hidden" not in lines


async def test_a_long_command_is_cut_in_the_system_log(bench: Bench) -> None:
    assert len(said(await bench.run(step("hello", "x" * 100_000)))) < 10_000


async def test_nothing_is_left(bench: Bench) -> None:
    task = await bench.run(step("hello"), step("fail"))
    assert not await bench.containers(task.id)
    assert left(bench.work) == []


async def test_one_word_is_for_the_shell_and_more_are_taken_as_they_are(
    bench: Bench, programs: Programs
) -> None:
    lines, words = sees(programs, "/bin/sh"), sees(programs, "words")
    line = Executor(image="alpine", command=("echo 'a'; b",))
    await bench.run(line, step("words", "", "$HOME", "'"))
    assert lines[0].command == ("/bin/sh", "-c", "echo 'a'; b")
    assert words[0].command == ("words", "", "$HOME", "'")


async def test_a_container_has_a_name_and_labels(bench: Bench, programs: Programs) -> None:
    seen = sees(programs, "see")
    task = await bench.run(step("hello"), step("see", env={"A": "b"}))
    assert seen[0].name == f"{task.id}-1"
    assert seen[0].labels == {LABEL_TASK: task.id, LABEL_ATTEMPT: "1", LABEL_EXECUTOR: "1"}
    assert seen[0].env == {"A": "b"}


@pytest.mark.parametrize(
    ("asked", "cpus", "memory_bytes"),
    [(Resources(), 1.0, 0), (Resources(cpu_cores=2, ram_gb=1.5), 2.0, 1_500_000_000)],
)
async def test_what_is_asked_is_the_limit(
    bench: Bench, programs: Programs, asked: Resources, cpus: float, memory_bytes: int
) -> None:
    seen = sees(programs, "see")
    await bench.run(step("see"), resources=asked)
    assert (seen[0].cpus, seen[0].memory_bytes) == (cpus, memory_bytes)


async def test_limits_have_defaults_in_the_settings(bench: Bench, programs: Programs) -> None:
    bench.settings |= {"default_cpu_cores": 3, "default_ram_gb": 0.5}
    seen = sees(programs, "see")
    await bench.run(step("see"))
    assert (seen[0].cpus, seen[0].memory_bytes) == (3.0, 500_000_000)


async def test_nothing_runs_after_a_failure(bench: Bench, programs: Programs) -> None:
    seen = sees(programs, "see")
    task = await bench.run(step("hello"), step("fail"), step("see"))
    assert (task.state, codes(task), seen) == (State.EXECUTOR_ERROR, [0, 3], [])
    assert "executor 1 ended with exit code 3" in said(task)


async def test_an_error_can_be_ignored(bench: Bench) -> None:
    task = await bench.run(step("fail", ignore_error=True), step("hello"))
    assert (task.state, codes(task)) == (State.COMPLETE, [3, 0])
    task = await bench.run(step("fail", ignore_error=True), step("hello"), step("fail"))
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [3, 0, 3])


async def test_a_command_that_is_missing_is_the_fault_of_the_task(bench: Bench) -> None:
    task = await bench.run(step("no-such"), step("hello"))
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [127])
    assert "the command cannot be found" in said(task)
    assert not await bench.containers(task.id)


async def test_a_command_that_is_missing_can_be_ignored(bench: Bench) -> None:
    task = await bench.run(step("no-such", ignore_error=True), step("hello"))
    assert (task.state, codes(task)) == (State.COMPLETE, [127, 0])


async def test_an_image_that_is_missing_is_a_system_error(bench: Bench) -> None:
    task = await bench.run(step("hello"), step("hello", image="missing"))
    assert (task.state, codes(task)) == (State.SYSTEM_ERROR, [])
    assert "msg='System error'" in said(task)
    assert "cannot pull image \\'missing\\'" in said(task)


async def test_a_workdir_that_the_image_lacks_is_made(bench: Bench, programs: Programs) -> None:
    async def program(inside: Inside) -> int:
        return 0 if inside.path("/vol/it").is_dir() else 1

    programs["look"] = program
    seen = sees(programs, "see")
    task = await bench.run(step("look", workdir="/vol/it"), step("see", workdir="/bin/sh"))
    assert codes(task) == [0, 0]
    assert not [one for one in seen[0].mounts if one.target == "/bin/sh"]


class Ending(FakeRuntime):
    """Containers end as the test says."""

    exited = Exited(code=0)

    async def wait(self, container_id: str) -> Exited:
        await super().wait(container_id)
        return self.exited


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Resources(ram_gb=0.5), "executor 0 ran out of memory: it had 0.5 GB (resources.ram_gb)"),
        (Resources(ram_gb=0.5), "ask for more, for instance ram_gb: 1"),
        (Resources(), "this machine had no more"),
    ],
)
async def test_running_out_of_memory_is_told(
    bench: Bench, programs: Programs, asked: Resources, words: str
) -> None:
    bench.runtime = runtime = Ending(programs)
    runtime.exited = Exited(code=137, oom_killed=True)
    task = await bench.run(step("hello"), resources=asked)
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [137])
    assert words in said(task)
    assert task.logs[0].metadata["executor.0.out_of_memory"] == "true"


async def test_the_word_of_the_engine_is_told(bench: Bench, programs: Programs) -> None:
    bench.runtime = runtime = Ending(programs)
    runtime.exited = Exited(code=127, reason="exec nope: not found")
    task = await bench.run(step("hello"))
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [127])
    assert "exec nope: not found" in said(task)


class Leaving(FakeRuntime):
    """It shows its containers once."""

    shown = False

    async def found(self, *, task_id: TaskId | None = None) -> Sequence[Found]:
        if self.shown:
            raise Unavailable("the engine is away")
        self.shown = True
        return await super().found(task_id=task_id)


async def test_what_cannot_be_cleared_up_does_not_change_the_end(
    bench: Bench, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    bench.runtime = Leaving(programs)
    task = await bench.run(step("hello"))
    assert task.state is State.COMPLETE
    assert "the engine is away" in caplog.text


async def test_a_fault_of_ours_ends_the_task(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.storage, "takes", broken)
    task = await bench.run(step("hello"), outputs=(Output(path="/out/a", url=f"{bench.files}/a"),))
    assert task.state is State.SYSTEM_ERROR
    assert "please report it: ZeroDivisionError()" in said(task)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("keep", [0, 10, 10_000])
async def test_no_more_of_the_output_is_kept_than_asked(
    bench: Bench, programs: Programs, keep: int
) -> None:
    bench.settings["log_tail_size"] = keep
    programs["count"] = says("".join(f"{n}\n" for n in range(1000)))
    task = await bench.run(step("count"))
    whole = "".join(f"{n}\n" for n in range(1000))
    assert task.logs[0].logs[0].stdout == (whole[-keep:] if keep else "")


async def test_a_short_task_takes_few_commits(bench: Bench) -> None:
    bench.settings["log_update_rate"] = timedelta(minutes=1)
    bench.tasks = counted = Counted(bench.database)
    await bench.run(step("hello"))
    assert len(counted.batches) <= 3
    assert counted.batches[0][0] == counted.batches[-1][-1] == "StateChanged"


async def test_output_is_told_once_where_no_pace_is_set(bench: Bench, programs: Programs) -> None:
    async def chatter(inside: Inside) -> int:
        for _ in range(50):
            await inside.write(b"word " * 100)
        return 0

    programs["chatter"] = chatter
    bench.settings["log_update_rate"] = timedelta(0)
    bench.tasks = counted = Counted(bench.database)
    await bench.run(step("chatter"))
    assert [kind for one in counted.batches for kind in one].count("Printed") == 1


async def test_output_is_told_while_it_comes(bench: Bench) -> None:
    task_id = await bench.create(step("stay"))
    async with bench.working(task_id):
        await bench.prints(task_id, "here\n")
        assert (await bench.see(task_id)).state is State.RUNNING
