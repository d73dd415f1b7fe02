"""One worker and a real engine: what only real containers can show."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attempts import Bench, codes, left, said, stopped

from funnel.core.state import State
from funnel.core.task import Executor, FileType, Input, Output, Resources, Task, TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.plugins import Host
from funnel.runtime.docker import PLUGIN
from funnel.runtime.settings import Settings
from funnel.testing.build import EPOCH

pytestmark = pytest.mark.engine

NOW = timedelta(0)
HOG = "x=aaaaaaaa; while true; do x=$x$x; done"


@pytest.fixture
async def bench(database: SqliteDatabase, tmp_path: Path) -> AsyncGenerator[Bench]:
    host = Host(now=lambda: EPOCH, deployment=f"test-{uuid4().hex}")
    async with PLUGIN.make(Settings(), host) as runtime:
        bench = Bench(database, runtime, tmp_path)
        bench.new_id = lambda: TaskId(uuid4().hex)
        yield bench
        for one in await runtime.found():
            await runtime.remove(one.id, grace=NOW)


def run(*command: str, image: str = "alpine", **given: Any) -> Executor:
    return Executor(image=image, command=command, **given)


def printed(task: Task) -> list[str]:
    return [one.stdout for one in task.logs[-1].logs]


@pytest.mark.parametrize(
    ("image", "command", "text"),
    [
        ("bash", ["echo `uname -s`"], "Linux"),
        ("bash", ['echo "double quoted value"'], "double quoted value"),
        ("bash", [r"""echo "mix 'of' \"quotes\"" """], """mix 'of' "quotes\""""),
        (
            "bash",
            ["""echo start && echo "inner 'quotes'" && echo end"""],
            "start\ninner 'quotes'\nend",
        ),
        ("alpine", ['''echo "Hello O'hare!"'''], "Hello O'hare!"),
        ("bash", ["echo HOME is $HOME"], "HOME is /custom/home"),
        ("bash", ["echo 'Hello Nextflow!'"], "Hello Nextflow!"),
        ("alpine", ["echo", "hello", "world"], "hello world"),
        ("alpine", ["echo", "Hello World!"], "Hello World!"),
        ("alpine", ["echo", "Hello O'hare!"], "Hello O'hare!"),
        ("alpine", ["echo", '"double quoted value"'], '"double quoted value"'),
        ("alpine", ["echo", r"back\slash"], r"back\slash"),
        ("alpine", ["echo", ""], ""),
        ("bash", ["sh", "-c", "echo 'inline shell'"], "inline shell"),
        ("alpine", ["echo", "Accept: a,b;q=0.9"], "Accept: a,b;q=0.9"),
        ("alpine", ["printf", "%s|", "a\nb", "$HOME", "`id`", "*", "--privileged"], None),
    ],
)
async def test_commands_arrive_as_they_were_given(
    bench: Bench, image: str, command: list[str], text: str | None
) -> None:
    task = await bench.run(run(*command, image=image, env={"HOME": "/custom/home"}))
    expected = f"{text}\n" if text is not None else "".join(f"{one}|" for one in command[2:])
    assert (task.state, printed(task)) == (State.COMPLETE, [expected])


async def test_an_environment_arrives_as_it_was_given(bench: Bench) -> None:
    value = "a 'b' \"c\" $D \\ = é\n"
    task = await bench.run(run('printf %s "$VALUE"', env={"VALUE": value}))
    assert printed(task) == [value]


async def test_the_end_of_a_megabyte_is_kept(bench: Bench) -> None:
    script = r"head -c 1000000 /dev/urandom | od -An -x; printf '\n\nhello\n'"
    task = await bench.run(run(script, stdout="/out/all"), outputs=(out(bench, "all"),))
    assert printed(task)[0].endswith("\n\nhello\n")
    assert 9_000 < len(printed(task)[0]) <= 10_000
    assert int(task.logs[0].outputs[0].size_bytes) > 2_000_000


def out(bench: Bench, name: str, **given: Any) -> Output:
    return Output(path=f"/out/{name}", url=f"{bench.files}/{name}", **given)


async def test_exactly_as_much_is_kept_as_asked(bench: Bench) -> None:
    bench.settings["log_tail_size"] = 10
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo ${i}abc; echo ${i}abc >&2; sleep 0.02; done"
    task = await bench.run(run(script))
    (log,) = task.logs[0].logs
    assert (log.stdout, log.stderr) == ("abc\n10abc\n", "abc\n10abc\n")


async def test_every_byte_of_output_is_stored(bench: Bench) -> None:
    script = r"printf '\377\000\r\n'; printf 'err\000' >&2"
    await bench.run(
        run(script, stdout="/out/o", stderr="/out/e"), outputs=(out(bench, "o"), out(bench, "e"))
    )
    assert (bench.files / "o").read_bytes() == b"\xff\x00\r\n"
    assert (bench.files / "e").read_bytes() == b"err\x00"


async def test_long_lines_keep_their_ends(bench: Bench) -> None:
    """Engines keep them in messages of 16 KiB, and some forget where the line ended."""
    sizes = [16383, 16384, 16385, 1, 32767, 32768, 32769, 0, 100_000, 16384]
    line = "for n in %s; do head -c $n /dev/zero | tr '\\0' x; echo; done; echo end"
    await bench.run(
        run(line % " ".join(map(str, sizes)), stdout="/out/o"), outputs=(out(bench, "o"),)
    )
    expected = b"".join(b"x" * size + b"\n" for size in sizes) + b"end\n"
    assert (bench.files / "o").read_bytes() == expected


async def test_the_container_is_told_of(bench: Bench) -> None:
    task = await bench.run(run("true"))
    (line,) = (one for one in task.logs[0].system_logs if "msg='container metadata'" in one)
    assert f"containerName='{task.id}-0'" in line
    assert "containerID='" in line
    assert "containerImageHash='sha256:" in line


async def test_standard_input_is_read_and_kept_whole(bench: Bench) -> None:
    (bench.files / "in").write_bytes(b"line\n" * 100_000)
    task = await bench.run(
        run("wc", "-c", stdin="/in/a"), inputs=(Input(url=f"{bench.files}/in", path="/in/a"),)
    )
    assert printed(task)[0].split() == ["500000"]
    assert (bench.files / "in").stat().st_size == 500_000


async def test_a_workdir_that_is_missing_is_made_and_can_be_written(bench: Bench) -> None:
    script = "pwd && touch here && ls"
    task = await bench.run(run(script, workdir="/MmixJS/deep"), run(script, workdir="/tmp"))
    assert printed(task) == ["/MmixJS/deep\nhere\n", "/tmp\nhere\n"]


async def test_a_workdir_of_the_image_is_as_it_is_there(bench: Bench) -> None:
    task = await bench.run(run("ls", "sh", workdir="/bin"))
    assert printed(task) == ["sh\n"]


async def test_executors_share_volumes_and_a_fresh_tmp(bench: Bench) -> None:
    task = await bench.run(
        run("ls /tmp; echo a > /vol/a; echo b > /tmp/b"),
        run("cat /vol/a /tmp/b"),
        volumes=("/vol",),
    )
    assert printed(task) == ["", "a\nb\n"]


async def test_the_worker_cleans_up_behind_root(bench: Bench) -> None:
    script = "mkdir -p /out/a/b && touch /out/a/b/c && chmod 000 /out/a/b && chmod 000 /out/a"
    await bench.run(run(script), outputs=(out(bench, "x"),))
    assert left(bench.work) == []


async def test_directories_are_stored_file_by_file(bench: Bench) -> None:
    script = (
        "mkdir /out/d/e; printf 123 > /out/d/ba; printf 12345 > /out/d/fo; printf 1234 > /out/bar"
    )
    task = await bench.run(
        run(script), outputs=(out(bench, "d", type=FileType.DIRECTORY), out(bench, "bar"))
    )
    assert [(one.path, one.size_bytes) for one in task.logs[0].outputs] == [
        ("/out/d/ba", "3"),
        ("/out/d/fo", "5"),
        ("/out/bar", "4"),
    ]


@pytest.mark.parametrize(
    ("command", "code"), [(["exit 5"], 5), (["no-such", "command"], 127), (["/etc", "x"], 126)]
)
async def test_exit_codes_are_kept(bench: Bench, command: list[str], code: int) -> None:
    task = await bench.run(run(*command), run("true"))
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [code])


async def test_a_registry_that_does_not_answer_is_asked_again(bench: Bench) -> None:
    task = await bench.run(run("true", image="127.0.0.1:9/nobody/nothing:1"))
    assert (task.state, len(task.logs)) == (State.QUEUED, 2)
    assert "127.0.0.1:9/nobody/nothing:1" in "".join(task.logs[0].system_logs)


async def test_too_little_memory_is_told(bench: Bench) -> None:
    task = await bench.run(run(HOG), resources=Resources(ram_gb=0.02))
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [137])
    assert "it had 0.02 GB (resources.ram_gb) and used all of it" in said(task)
    assert "ram_gb: 0.04" in said(task)


async def test_too_little_memory_for_a_child_is_told(bench: Bench) -> None:
    """The shell lives on, and says with its own code how its child ended."""
    task = await bench.run(run(f"sh -c '{HOG}'; echo $?"), resources=Resources(ram_gb=0.02))
    assert (task.state, codes(task), printed(task)) == (State.COMPLETE, [0], ["137\n"])
    assert "level='warning' msg='executor 0 ran out of memory" in said(task)


async def test_what_runs_too_long_is_stopped(bench: Bench) -> None:
    script = "trap 'echo cleaned; exit 0' TERM; echo here; while true; do sleep 0.05; done"
    asked = Resources(backend_parameters={"timeout": "1s"})
    task = await bench.run(run(script, ignore_error=True), run("true"), resources=asked)
    assert (task.state, codes(task)) == (State.EXECUTOR_ERROR, [124])
    assert printed(task) == ["here\ncleaned\n"]
    assert "executor 0 was stopped: the task\\'s timeout of 1s is over" in said(task)
    assert not await bench.containers(task.id)
    assert left(bench.work) == []


async def test_a_cancel_stops_a_container_that_runs(bench: Bench) -> None:
    task_id = await bench.create(run("echo here; sleep 600"), run("true"))
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await bench.cancel(task_id)
        await stopped(work)
    assert not await bench.containers(task_id)
    assert codes(await bench.see(task_id)) == [None]
    assert left(bench.work) == []


async def test_what_is_printed_in_the_grace_of_a_cancel_is_kept(bench: Bench) -> None:
    task_id = await bench.create(
        run("trap 'echo bye; exit 0' TERM; echo here; while sleep 0.05; do :; done")
    )
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "here\n")
        await bench.cancel(task_id)
        await stopped(work)
    assert printed(await bench.see(task_id)) == ["here\nbye\n"]
    assert not await bench.containers(task_id)
    assert left(bench.work) == []


async def test_a_cancel_stops_a_pull(bench: Bench) -> None:
    """The registry takes the call and never answers."""
    called, over = asyncio.Event(), asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as registry:
        port = registry.sockets[0].getsockname()[1]
        task_id = await bench.create(run("true", image=f"127.0.0.1:{port}/some/image:1"))
        async with bench.working(task_id) as work:
            await called.wait()
            await bench.cancel(task_id)
            await stopped(work)
        over.set()
    assert (await bench.see(task_id)).state is State.CANCELED
    assert left(bench.work) == []


async def test_the_next_worker_goes_on_with_the_same_container(bench: Bench) -> None:
    script = "echo before; until [ -e /go/on ]; do sleep 0.05; done; echo after; exit 7"
    task_id = await bench.create(
        run(script, stdout="/out/all", ignore_error=True),
        run("true"),
        volumes=("/go",),
        outputs=(out(bench, "all"),),
    )
    async with bench.working(task_id) as work:
        await bench.prints(task_id, "before\n")
        await stopped(work)
    known = await bench.containers(task_id)
    assert [known[name].running for name in sorted(known)] == [True, False]
    only = known[f"{task_id}-0"]
    (bench.work / task_id / "1" / "root" / "go" / "on").touch()
    await bench.runtime.wait(only.id)
    await bench.work_on(task_id)
    task = await bench.see(task_id)
    assert (task.state, codes(task)) == (State.COMPLETE, [7, 0])
    assert printed(task)[0] == (bench.files / "all").read_text() == "before\nafter\n"
    assert not await bench.containers(task_id)


async def test_many_tasks_at_once_do_not_mix(bench: Bench) -> None:
    tasks = await asyncio.gather(*(bench.run(run("echo", str(n))) for n in range(5)))
    assert [printed(one) for one in tasks] == [[f"{n}\n"] for n in range(5)]


async def test_what_a_container_used_is_told(bench: Bench) -> None:
    """It holds 30 MB, and then works for a while; the amounts are exact to the end."""
    script = (
        "x=$(head -c 30000000 /dev/zero | tr '\\0' x);"
        " n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done"
    )
    task = await bench.run(run(script), run("true"))
    told = task.logs[0].metadata
    assert 30_000_000 < int(told["executor.0.peak_memory_bytes"]) < 300_000_000
    assert 0.05 < float(told["executor.0.cpu_seconds"]) < 30
    assert "executor.0.out_of_memory" not in told
    assert f"peak_memory_bytes='{told['executor.0.peak_memory_bytes']}'" in said(task)
