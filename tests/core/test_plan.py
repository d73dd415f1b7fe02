from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.container import Mount
from funnel.core.error import Invalid
from funnel.core.path import is_within, parts, text
from funnel.core.places import CROWDED, SEALED
from funnel.core.plan import Plan, make_plan, with_workdir
from funnel.core.task import Executor, FileType, Input, Output, Spec

ROOT = PurePosixPath("/w/t/1/root")
STEP = Executor(image="alpine", command=("true",))
DIRECTORY = FileType.DIRECTORY


def plan(
    in_place: dict[int, str] | None = None, shared: tuple[int, ...] = (), **given: Any
) -> Plan:
    asked: dict[str, Any] = {"executors": (STEP,), **given}
    return make_plan(Spec(**asked), ROOT, in_place or {}, shared=frozenset(shared))


def targets(of: Plan) -> dict[str, bool]:
    return {mount.target: mount.writable for mount in of.mounts}


def test_tmp_is_always_there() -> None:
    assert plan().mounts == (Mount("/w/t/1/root/tmp", "/tmp", writable=True),)


def test_a_local_input_is_mounted_where_it_is() -> None:
    made = plan({0: "/data/in.txt"}, inputs=(Input(path="/in/a.txt", url="file:///data/in.txt"),))
    assert Mount("/data/in.txt", "/in/a.txt") in made.mounts
    assert made.downloads == ()


def test_other_inputs_are_brought_and_cannot_be_changed() -> None:
    inputs = (
        Input(path="/in/a", url="s3://b/a"),
        Input(path="/in/d", url="s3://b/d", type=DIRECTORY),
        Input(path="/in/c", content="x"),
    )
    made = plan(inputs=inputs)
    assert targets(made) == {"/tmp": True, "/in/a": False, "/in/d": False, "/in/c": False}
    assert [one.path for one in made.downloads] == ["/in/a", "/in/d"]
    assert [one.text for one in made.contents] == ["x"]


def test_outputs_have_a_writable_directory() -> None:
    outputs = (
        Output(path="/out/a", url="u"),
        Output(path="/res/deep", url="u", type=DIRECTORY),
        Output(path="/glob/x/*.txt", url="u"),
    )
    executor = Executor(image="i", command=("x",), stdout="/logs/o", stderr="/out/e")
    made = plan(outputs=outputs, executors=(executor,), volumes=("/vol",))
    wanted = ["/glob/x", "/logs", "/out", "/res/deep", "/tmp", "/vol"]
    assert targets(made) == dict.fromkeys(wanted, True)


def test_a_directory_below_another_needs_no_mount() -> None:
    made = plan(volumes=("/scratch", "/scratch/a"), outputs=(Output(path="/scratch/b/c", url="u"),))
    assert sorted(targets(made)) == ["/scratch", "/tmp"]
    assert {"/scratch", "/scratch/a", "/scratch/b"} <= set(made.folders)


def test_names_that_begin_alike_are_not_below_each_other() -> None:
    assert {"/data", "/data2"} <= set(targets(plan(volumes=("/data", "/data2"))))


def test_a_file_written_into_a_directory_of_the_image_is_mounted_alone() -> None:
    made = plan(outputs=(Output(path="/result.txt", url="u"), Output(path="/etc/x", url="u")))
    assert {"/result.txt", "/etc/x"} <= set(targets(made))
    assert set(made.files) == {"/result.txt", "/etc/x"}


@pytest.mark.parametrize("path", ["/", "/etc", "/usr", "/proc"])
def test_the_image_is_not_hidden(path: str) -> None:
    with pytest.raises(Invalid, match="would hide what the image has"):
        plan(volumes=(path,))
    with pytest.raises(Invalid, match="would hide"):
        plan(outputs=(Output(path=path, url="u", type=DIRECTORY),))


def test_a_pattern_needs_a_directory_of_the_task() -> None:
    with pytest.raises(Invalid, match="write to a directory of the task"):
        plan(outputs=(Output(path="/*.txt", url="u"),))


def test_an_input_directory_that_is_also_written_to_is_copied() -> None:
    inputs = (Input(path="/data", url="/d", type=DIRECTORY),)
    outputs = (Output(path="/data/out.txt", url="u"),)
    made = plan({0: "/d"}, inputs=inputs, outputs=outputs)
    assert [one.path for one in made.downloads] == ["/data"]
    assert targets(made)["/data"]


def test_a_shared_directory_is_written_to_in_place() -> None:
    made = plan({0: "/d"}, (0,), inputs=(Input(path="/data", url="/d", type=DIRECTORY),))
    assert Mount("/d", "/data", writable=True) in made.mounts


def test_a_workdir_is_made_unless_there_is_one() -> None:
    made = plan(volumes=("/place",))
    assert with_workdir(made, ROOT, "/place/sub") is made
    assert targets(with_workdir(made, ROOT, "/other"))["/other"]


def test_a_file_is_no_directory() -> None:
    with pytest.raises(Invalid, match="/a is a file, and the task also writes below"):
        plan(inputs=(Input(path="/a", content="x"),), outputs=(Output(path="/a/b", url="u"),))


def test_an_input_that_holds_another_is_brought() -> None:
    inputs = (
        Input(path="/data", url="/d", type=DIRECTORY),
        Input(path="/data/extra", url="/e"),
    )
    made = plan({0: "/d", 1: "/e"}, inputs=inputs)
    assert targets(made) == {"/tmp": True, "/data": False}
    assert [one.path for one in made.downloads] == ["/data", "/data/extra"]


def test_an_input_that_is_an_output_as_well_may_be_changed() -> None:
    inputs = (Input(path="/data/a", url="/d/a"),)
    made = plan({0: "/d/a"}, inputs=inputs, outputs=(Output(path="/data/a", url="u"),))
    assert targets(made) == {"/tmp": True, "/data": True}
    assert [one.path for one in made.downloads] == ["/data/a"]


def test_a_directory_below_an_input_is_writable_and_the_input_is_seen() -> None:
    inputs = (Input(path="/data", url="s3://b/d", type=DIRECTORY),)
    made = plan(inputs=inputs, outputs=(Output(path="/data/sub/o", url="u"),))
    assert targets(made) == {"/tmp": True, "/data": False, "/data/sub": True}


def test_what_lies_in_a_shared_directory_is_written_to_in_place() -> None:
    inputs = (Input(path="/js", url="/srv/js", type=DIRECTORY),)
    outputs = (Output(path="/js/out/o", url="u"), Output(path="/js", url="u", type=DIRECTORY))
    made = plan({0: "/srv/js"}, (0,), inputs=inputs, outputs=outputs)
    assert [mount for mount in made.mounts if mount.target.startswith("/js")] == [
        Mount("/srv/js", "/js", writable=True)
    ]
    assert made.folders == ("/tmp",)


def test_output_of_an_executor_is_seen_by_the_next() -> None:
    step = Executor(image="i", command=("x",), stdout="/log.txt", stderr="/etc/err")
    made = plan(executors=(step,))
    assert targets(made) == {"/tmp": True, "/log.txt": True, "/etc/err": True}
    assert set(made.files) == {"/log.txt", "/etc/err"}


def test_output_to_a_device_needs_no_mount() -> None:
    step = Executor(image="i", command=("x",), stdout="/dev/null", stderr="/dev/null")
    assert targets(plan(executors=(step,))) == {"/tmp": True}


def test_a_file_with_files_below_is_a_directory() -> None:
    outputs = (Output(path="/out", url="u"), Output(path="/out/deep/file", url="u"))
    made = plan(outputs=outputs)
    assert targets(made) == {"/tmp": True, "/out": True}
    assert made.files == ()


@pytest.mark.parametrize("path", ["/usr/lib/x/o", "/opt/o", "/root/o", "/home/o", "/var/log/o"])
def test_files_beside_those_of_the_image_hide_none(path: str) -> None:
    made = plan(outputs=(Output(path=path, url="u"),))
    assert targets(made) == {"/tmp": True, path: True}


@pytest.mark.parametrize("path", ["/opt/workdir/o", "/home/me/o", "/var/spool/cwl/o"])
def test_directories_of_the_task_may_lie_deeper(path: str) -> None:
    made = plan(outputs=(Output(path=path, url="u"),))
    assert targets(made) == {"/tmp": True, str(PurePosixPath(path).parent): True}


@pytest.mark.parametrize("path", ["/etc", "/usr/bin", "/dev/shm", "/proc/self", "/sys/x"])
def test_inputs_hide_nothing_of_the_image_either(path: str) -> None:
    with pytest.raises(Invalid, match=f"input {path} would hide what the image has"):
        plan(inputs=(Input(path=path, content="x"),))


def test_a_path_that_climbs_is_refused() -> None:
    with pytest.raises(Invalid, match=r"must not contain '\.\.'"):
        plan(volumes=("/a/../../etc",))


def test_a_workdir_in_a_directory_of_the_task_is_made_there() -> None:
    step = Executor(image="i", command=("x",), workdir="/place/here")
    assert "/place/here" in plan(executors=(step,), volumes=("/place",)).folders
    assert plan(executors=(step,)).folders == ("/tmp",)


def test_the_image_keeps_its_root_whatever_the_workdir() -> None:
    made = plan()
    assert with_workdir(made, ROOT, "/") is made
    assert with_workdir(made, ROOT, "/usr") is made


def test_much_is_planned_quickly() -> None:
    many = range(10_000)
    inputs = tuple(Input(path=f"/in/{n}/f", url=f"/d/{n}") for n in many)
    outputs = tuple(Output(path=f"/out/{n}/f", url="u") for n in many)
    made = plan({n: f"/d/{n}" for n in many}, inputs=inputs, outputs=outputs)
    assert len(made.mounts) == 20_001


names = st.sampled_from(["a", "b", "data", "data2", "etc", "usr", "opt", "tmp", "x y", "ü"])
paths = st.lists(names, min_size=1, max_size=4).map(lambda path: "/" + "/".join(path))


class Asked(NamedTuple):
    volumes: list[str]
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, FileType]]
    stdout: str
    workdir: str


asked = st.builds(
    Asked,
    st.lists(paths, max_size=3),
    st.lists(
        st.tuples(paths, st.sampled_from(["content", "get", "here", "shared"])),
        max_size=4,
        unique_by=lambda one: one[0],
    ),
    st.lists(st.tuples(paths, st.sampled_from(FileType)), max_size=3),
    paths,
    paths,
)


def _plan_of(asked: Asked) -> Plan | None:
    content = [how == "content" for _, how in asked.inputs]
    try:
        made = plan(
            {
                n: f"/host/{n}"
                for n, (_, how) in enumerate(asked.inputs)
                if how in {"here", "shared"}
            },
            tuple(n for n, (_, how) in enumerate(asked.inputs) if how == "shared"),
            volumes=tuple(asked.volumes),
            inputs=tuple(
                Input(path=path, content="x" if text else "", url="" if text else "u")
                for (path, _), text in zip(asked.inputs, content, strict=True)
            ),
            outputs=tuple(Output(path=path, url="u", type=kind) for path, kind in asked.outputs),
            executors=(replace(STEP, stdout=asked.stdout, workdir=asked.workdir),),
        )
        return with_workdir(made, ROOT, asked.workdir)
    except Invalid:
        return None


@given(asked)
def test_whatever_is_declared_is_seen_and_nothing_of_the_image_is_hidden(asked: Asked) -> None:
    if not (made := _plan_of(asked)):
        return
    seen = [parts(mount.target) for mount in made.mounts]
    assert len(set(seen)) == len(seen)
    declared = [*asked.volumes, asked.stdout, *(path for path, _ in asked.inputs)]
    for path in [*declared, *(path for path, _ in asked.outputs)]:
        assert any(is_within(parts(path), target) for target in seen)
    for mount in made.mounts:
        assert parts(mount.target) not in SEALED
    assert SEALED < CROWDED


@given(asked)
def test_no_mount_can_be_swapped_by_a_container(asked: Asked) -> None:
    if not (made := _plan_of(asked)):
        return
    sources = [parts(mount.source) for mount in made.mounts]
    for mount in made.mounts:
        source = parts(mount.source)
        assert is_within(source, parts(str(ROOT))) or source[0] == "host"
        if mount.writable:
            assert not any(one != source and is_within(one, source) for one in sources)


@given(asked)
def test_each_input_is_mounted_where_it_is_or_brought(asked: Asked) -> None:
    if not (made := _plan_of(asked)):
        return
    brought = {one.path for one in made.downloads} | {one.path for one in made.contents}
    placed = {mount.target for mount in made.mounts if mount.source.startswith("/host/")}
    inputs = {text(parts(path)) for path, _ in asked.inputs}
    assert brought | placed == inputs
    assert not brought & placed
    for mount in made.mounts:
        if mount.writable and mount.source.startswith("/host/"):
            assert (mount.target, "shared") in asked.inputs
