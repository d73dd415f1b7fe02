"""The files of one attempt: what comes in, what goes out, and what is cleared away."""

from pathlib import Path

import pytest
from attempts import Bench, codes, left, said, sees, step

from funnel.core.container import (
    Stream,
)
from funnel.core.event import StateChanged
from funnel.core.state import State
from funnel.core.task import Input, Output
from funnel.runtime.fake import FakeRuntime, Inside, Program
from funnel.safepath import remove_tree
from funnel.service import worker, workplace
from funnel.testing.build import EPOCH

Programs = dict[str, Program]


def copies(source: str, target: str) -> Program:
    async def program(inside: Inside) -> int:
        inside.path(target).write_bytes(inside.path(source).read_bytes())
        return 0

    return program


async def test_files_can_be_left_to_look_into(bench: Bench) -> None:
    bench.settings["leave_work_dir"] = True
    task = await bench.run(step("hello"))
    assert (bench.work / task.id / "1" / "private" / "stdout-0").read_text() == "hello world\n"


async def test_only_we_can_enter_the_directory_of_an_attempt(bench: Bench) -> None:
    bench.settings["leave_work_dir"] = True
    task = await bench.run(step("hello"))
    for folder in (bench.work / task.id, bench.work / task.id / "1"):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "given", [{}, {"workdir": "/w"}, {"stdout": "/out/o"}], ids=["bare", "workdir", "stdout"]
)
async def test_directories_are_made_where_something_needs_them(
    bench: Bench, given: dict[str, str]
) -> None:
    bench.settings["leave_work_dir"] = True
    bench.runtime = FakeRuntime({}, otherwise=ends, has_files=False)
    task = await bench.run(step("end", **given))
    assert task.state is State.COMPLETE
    assert (bench.work / task.id).exists() == bool(given)


async def test_what_a_worker_before_us_made_is_cleared_away(bench: Bench) -> None:
    bench.runtime = FakeRuntime({}, otherwise=ends, has_files=False)
    task_id = await bench.create(step("end"))
    await bench.say(StateChanged(task_id, EPOCH, State.INITIALIZING))
    bench.worker().place(task_id, 1).make(workplace.Owner("test", "alpine"))
    await bench.work_on(task_id)
    assert left(bench.work) == []


async def ends(inside: Inside) -> int:
    del inside
    return 0


async def test_standard_input_comes_from_an_input_or_an_earlier_output(
    bench: Bench, programs: Programs
) -> None:
    async def upper(inside: Inside) -> int:
        await inside.write((await inside.stdin()).upper())
        return 0

    programs["upper"] = upper
    task = await bench.run(
        step("upper", stdin="/in/a", stdout="/out/a"),
        step("upper", stdin="/out/a"),
        inputs=(Input(content="word", path="/in/a"),),
    )
    assert [one.stdout for one in task.logs[0].logs] == ["WORD", "WORD"]


async def test_standard_input_that_is_missing_is_named(bench: Bench) -> None:
    task = await bench.run(step("stay", stdin="/in/a"))
    assert task.state is State.SYSTEM_ERROR
    assert "stdin of executor 0: there is no /in/a" in said(task)


async def test_both_streams_go_where_the_task_wants_them(bench: Bench, programs: Programs) -> None:
    programs["both"] = both
    task = await bench.run(
        step("both", stdout="/out/o", stderr="/out/e"),
        outputs=tuple(Output(path=f"/out/{n}", url=f"{bench.files}/{n}") for n in "oe"),
    )
    assert [one.size_bytes for one in task.logs[0].outputs] == ["3", "4"]
    assert (bench.files / "o").read_bytes() == b"o\xff\n"
    assert (bench.files / "e").read_bytes() == b"e\x00\xfe\n"
    assert (task.logs[0].logs[0].stdout, task.logs[0].logs[0].stderr) == ("o�\n", "e\0�\n")


async def both(inside: Inside) -> int:
    await inside.write(b"o\xff\n")
    await inside.write(b"e\x00\xfe\n", Stream.STDERR)
    return 0


async def test_an_executor_reads_what_an_earlier_one_wrote(
    bench: Bench, programs: Programs
) -> None:
    programs["copy"] = copies("/out/a", "/out/b")
    task = await bench.run(
        step("hello", stdout="/out/a"),
        step("copy"),
        outputs=(Output(path="/out/b", url=f"{bench.files}/b"),),
    )
    assert task.state is State.COMPLETE
    assert (bench.files / "b").read_text() == "hello world\n"


async def test_what_is_there_is_stored_after_a_failure(bench: Bench) -> None:
    task = await bench.run(
        step("hello", stdout="/out/a"),
        step("fail"),
        outputs=(
            Output(path="/out/missing", url=f"{bench.files}/missing"),
            Output(path="/out/a", url=f"{bench.files}/a"),
        ),
    )
    assert task.state is State.EXECUTOR_ERROR
    assert [one.path for one in task.logs[0].outputs] == ["/out/a"]
    assert "warning" not in said(task)


async def test_the_first_failure_stays_the_outcome(bench: Bench) -> None:
    (bench.files / "file").touch()
    task = await bench.run(
        step("fail", stdout="/out/a"),
        outputs=(Output(path="/out/a", url=f"{bench.files}/file/a"),),
    )
    assert task.state is State.EXECUTOR_ERROR
    assert "msg='upload failed'" in said(task)


async def test_whatever_goes_wrong_with_outputs_the_first_failure_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(worker, "publish", broken)
    outputs = (Output(path="/out/a", url=f"{bench.files}/a"),)
    task = await bench.run(step("fail"), outputs=outputs)
    assert task.state is State.EXECUTOR_ERROR
    assert "the disk is on fire" in said(task)
    task = await bench.run(step("hello"), outputs=outputs)
    assert task.state is State.SYSTEM_ERROR


@pytest.mark.parametrize(("strict", "end"), [(False, State.COMPLETE), (True, State.SYSTEM_ERROR)])
async def test_a_missing_output_warns_or_fails(bench: Bench, end: State, *, strict: bool) -> None:
    bench.settings["strict_outputs"] = strict
    task = await bench.run(step("hello"), outputs=(Output(path="/out/a", url=f"{bench.files}/a"),))
    assert task.state is end
    assert "output does not exist" in said(task)


async def test_an_output_that_cannot_be_stored_fails_before_anything_runs(bench: Bench) -> None:
    task = await bench.run(step("hello"), outputs=(Output(path="/out/a", url="gopher://a"),))
    assert (task.state, codes(task)) == (State.SYSTEM_ERROR, [])
    assert "no storage takes gopher://a" in said(task)


async def test_an_input_that_is_missing_is_a_system_error(bench: Bench) -> None:
    gone = f"{bench.files}/gone"
    task = await bench.run(step("hello"), inputs=(Input(url=gone, path="/in/a"),))
    assert (task.state, codes(task)) == (State.SYSTEM_ERROR, [])
    assert gone in said(task)


async def test_inputs_are_mounted_where_they_are_or_copied(
    bench: Bench, programs: Programs
) -> None:
    seen = sees(programs, "see")
    (bench.files / "in").write_text("x")
    given = {"inputs": (Input(url=f"{bench.files}/in", path="/in/a"),)}
    await bench.run(step("see"), **given)
    bench.settings["copy_inputs"] = True
    await bench.run(step("see"), **given)
    sources = [[Path(one.source) for one in each.mounts if "in" in one.target] for each in seen]
    assert sources[0] == [bench.files / "in"]
    assert all(one.is_relative_to(bench.work) for one in sources[1])


@pytest.mark.parametrize(("code", "end"), [(0, State.SYSTEM_ERROR), (3, State.EXECUTOR_ERROR)])
async def test_output_that_cannot_be_placed_does_not_hide_the_exit_code(
    bench: Bench, programs: Programs, code: int, end: State
) -> None:
    async def blocks(inside: Inside) -> int:
        inside.path("/out/a").mkdir()
        return code

    programs["blocks"] = blocks
    task = await bench.run(step("blocks", stdout="/out/a"))
    assert (task.state, codes(task)) == (end, [code])
    assert "/out/a" in said(task).replace("Running command", "")


async def test_output_is_not_written_through_a_planted_link(
    bench: Bench, programs: Programs
) -> None:
    async def plants(inside: Inside) -> int:
        inside.path("/out").joinpath("a").symlink_to(bench.files / "a")
        await inside.write(b"mine")
        return 0

    programs["plants"] = plants
    await bench.run(step("plants", stdout="/out/a"))
    assert not (bench.files / "a").exists()


async def test_what_we_cannot_delete_the_runtime_erases(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container's root leaves it to a server that is not root."""
    refused = iter([True])

    def remove(directory: Path) -> bool:
        return False if next(refused, False) else remove_tree(directory)

    monkeypatch.setattr(workplace, "remove_tree", remove)
    await bench.run(step("hello"))
    assert left(bench.work) == []


async def test_what_nobody_can_delete_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> bool:
        return False

    monkeypatch.setattr(workplace, "remove_tree", refuse)
    task = await bench.run(step("hello"))
    assert task.state is State.COMPLETE
    assert f"{bench.work}/{task.id}/1 cannot be removed" in caplog.text
