from pathlib import Path
from typing import Any

import pytest
from calling import Call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from funnel.cli.run.build import spec
from funnel.cli.run.given import Given, Kind, Step
from funnel.core.task import Executor, FileType, Input, Output, Resources

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def printed(call: Call, *words: str) -> Any:
    answer = call("run", "--print", *words)
    assert answer.code == 0, answer.err
    return answer.json


def refused(call: Call, *words: str) -> str:
    answer = call("run", "--print", *words)
    assert (answer.code, answer.out) == (1, "")
    return answer.err


def commands(task: Any) -> list[list[str]]:
    return [one["command"] for one in task["executors"]]


def no_file(path: str) -> str:
    raise AssertionError(path)


def test_one_command_makes_the_smallest_task(call: Call) -> None:
    assert printed(call, "echo hello") == {
        "name": "sh -c 'echo hello'",
        "executors": [{"image": "alpine", "command": ["sh", "-c", "echo hello"]}],
    }


def test_all_flags_together(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("test content\n")
    task = spec(
        Given(
            steps=(
                Step(kind=Kind.SH, command="cat", stdin="/s/in", stdout="/s/out"),
                Step(kind=Kind.EXEC, command="ls -l 'a b'", stdout="s3://b/o", stderr="/s/err"),
            ),
            container="busybox",
            inputs=("f1=/x/f1", "f2=gs://b/f2"),
            input_dirs=("f4=/x/f4/",),
            contents=(f"c1={tmp_path}/c.txt",),
            outputs=("f3=/x/f3",),
            output_dirs=("o9=/x/o9",),
            env=("X=a,b=c",),
            tags=("t=",),
            volumes=("/v1", "/v2"),
            zones=("z",),
            cpu=8,
            ram=32.0,
            disk=100.0,
            preemptible=True,
            name="n",
            description="d",
            workdir="/w",
        ),
        lambda path: Path(path).read_text(),
    )
    content_path = f"/inputs{tmp_path}/c.txt"
    env = {
        "f1": "/inputs/x/f1",
        "f2": "/inputs/b/f2",
        "f4": "/inputs/x/f4",
        "c1": content_path,
        "f3": "/outputs/x/f3",
        "o9": "/outputs/x/o9",
        "X": "a,b=c",
    }
    assert task.executors == (
        Executor(
            image="busybox",
            command=("sh", "-c", "cat"),
            stdin="/inputs/stdin-0",
            stdout="/outputs/stdout-0",
            env=env,
            workdir="/w",
        ),
        Executor(
            image="busybox",
            command=("ls", "-l", "a b"),
            stdout="/outputs/stdout-1",
            stderr="/outputs/stderr-1",
            env=env,
            workdir="/w",
        ),
    )
    assert task.inputs == (
        Input(name="stdin-0", url="file:///s/in", path="/inputs/stdin-0"),
        Input(name="f1", url="file:///x/f1", path="/inputs/x/f1"),
        Input(name="f2", url="gs://b/f2", path="/inputs/b/f2"),
        Input(name="f4", url="file:///x/f4", path="/inputs/x/f4", type=FileType.DIRECTORY),
        Input(name="c1", content="test content\n", path=content_path),
    )
    assert task.outputs == (
        Output(name="stdout-0", url="file:///s/out", path="/outputs/stdout-0"),
        Output(name="stdout-1", url="s3://b/o", path="/outputs/stdout-1"),
        Output(name="stderr-1", url="file:///s/err", path="/outputs/stderr-1"),
        Output(name="f3", url="file:///x/f3", path="/outputs/x/f3"),
        Output(name="o9", url="file:///x/o9", path="/outputs/x/o9", type=FileType.DIRECTORY),
    )
    assert task.resources == Resources(
        cpu_cores=8, ram_gb=32.0, disk_gb=100.0, preemptible=True, zones=("z",)
    )
    assert task.volumes == ("/v1", "/v2")
    assert task.tags == {"t": ""}
    assert (task.name, task.description) == ("n", "d")


@given(TEXT)
def test_a_shell_gets_its_text_as_it_is(text: str) -> None:
    step = Step(kind=Kind.SH, command=text)
    assert spec(Given(steps=(step,)), no_file).executors[0].command == ("sh", "-c", text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXT.filter(lambda text: not text.startswith("-") and "\0" not in text))
def test_values_are_taken_as_they_are_quotes_and_commas_too(call: Call, text: str) -> None:
    task = printed(call, "--sh", text, "--env", f"K={text}", "--tag", f"T={text}", "--name", "x")
    assert commands(task) == [["sh", "-c", text]]
    assert task["executors"][0]["env"] == {"K": text}
    assert task["tags"] == {"T": text}


def test_the_positional_command_comes_first_wherever_it_stands(call: Call) -> None:
    task = printed(call, "--exec", "b c", "--stdout", "x", "a", "--sh", "d")
    assert commands(task) == [["sh", "-c", "a"], ["b", "c"], ["sh", "-c", "d"]]
    assert [one.get("stdout") for one in task["executors"]] == [None, "/outputs/stdout-1", None]


def test_files_belong_to_the_command_before_them(call: Call) -> None:
    words = ("--stdin", "i", "--stderr", "e", "--exec", "true", "--stdout", "o")
    task = printed(call, "--sh", "a", *words)
    first, second = task["executors"]
    assert (first["stdin"], first["stderr"]) == ("/inputs/stdin-0", "/outputs/stderr-0")
    assert second["stdout"] == "/outputs/stdout-1"
    assert "stdout" not in first


def test_paths_count_from_the_current_directory(call: Call, tmp_path: Path) -> None:
    task = printed(call, "a", "-i", "in=sub/../f.txt", "-o", "out=~/x")
    assert task["inputs"][0]["url"] == f"file://{tmp_path}/f.txt"
    assert task["inputs"][0]["path"] == f"/inputs{tmp_path}/f.txt"
    assert task["outputs"][0]["url"] == f"file://{tmp_path}/~/x"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no command: give one"),
        (("--stdin", "x"), "--stdin belongs to a command: write it after a --sh or --exec"),
        (("a", "b=c"), "one command at most, but these are more: 'b=c'"),
        (("a", "--in", "x"), "--in 'x' is not KEY=VALUE; --in, --out, --content, --env and --tag"),
        (("a", "--env", "=x"), "--env '=x' is not KEY=VALUE"),
        (("a", "--in", "k=x", "--out", "k=y"), "the key 'k' is given twice"),
        (("--exec", "echo 'a"), 'cannot split "echo \'a" as a shell does: no closing quotation'),
        (("a", "-C", "k=none.txt"), "cannot read none.txt: No such file"),
        (("a", "--cpu", "many"), "Invalid value for '--cpu': 'many' is not a valid integer"),
        (("a", "--vol", "relative"), "not a task: volumes[0] must be an absolute path\n"),
    ],
)
def test_mistakes_are_refused_before_anything_happens(
    call: Call, words: tuple[str, ...], says: str
) -> None:
    assert refused(call, *words).startswith(f"Error: {says}")


def test_each_line_of_a_scatter_file_is_a_task(call: Call, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(
        "--in in=a.txt --stdout 'a b.out'\n\n--sh other --tag t=2 -n named\n--cpu 4\n"
    )
    words = ("cat", "--in", "in=base.txt", "--tag", "t=1", "--scatter", "lines")
    answer = call("run", "--print", *words)
    first, second, third = answer.documents
    assert first["inputs"][0]["url"] == f"file://{tmp_path}/a.txt"
    assert first["outputs"][0]["url"] == f"file://{tmp_path}/a b.out"
    assert commands(first) == commands(third) == [["sh", "-c", "cat"]]
    assert commands(second) == [["sh", "-c", "other"]]
    assert (second["name"], second["tags"]) == ("named", {"t": "2"})
    assert third["resources"] == {"cpuCores": 4}
    assert third["tags"] == {"t": "1"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--wait", "lines line 2: --wait belongs to the command, not to a line"),
        ("--in 'x", "lines line 2: cannot split"),
        ("--bad", "lines line 2: No such option"),
    ],
)
def test_a_bad_line_is_told_with_its_number(
    call: Call, tmp_path: Path, line: str, says: str
) -> None:
    (tmp_path / "lines").write_text(f"--cpu 1\n{line}\n")
    assert refused(call, "cat", "--scatter", "lines").startswith(f"Error: {says}")


def test_a_scatter_file_that_is_not_there_is_an_error(call: Call) -> None:
    assert "cannot read none: No such file" in refused(call, "cat", "--scatter", "none")
