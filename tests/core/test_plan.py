from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Mount
from funnel.core.error import Invalid
from funnel.core.path import is_within, parts
from funnel.core.plan import CROWDED, SEALED, Plan, make_plan, with_workdir
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
    made = plan(volumes=("/work", "/work/a"), outputs=(Output(path="/work/b/c", url="u"),))
    assert sorted(targets(made)) == ["/tmp", "/work"]
    assert {"/work", "/work/a", "/work/b"} <= set(made.folders)


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
    made = plan(volumes=("/work",))
    assert with_workdir(made, ROOT, "/work/sub") is made
    assert targets(with_workdir(made, ROOT, "/other"))["/other"]


def test_a_file_is_no_directory() -> None:
    with pytest.raises(Invalid, match="/a is a file, and the task also writes below"):
        plan(inputs=(Input(path="/a", content="x"),), outputs=(Output(path="/a/b", url="u"),))


names = st.sampled_from(["a", "b", "data", "data2", "etc", "usr", "tmp", "x y", "ü"])
paths = st.lists(names, min_size=1, max_size=4).map(lambda path: "/" + "/".join(path))


@given(
    st.lists(paths, max_size=3),
    st.lists(paths, max_size=3, unique=True),
    st.lists(st.tuples(paths, st.sampled_from(FileType)), max_size=3),
)
def test_whatever_is_declared_is_seen_and_nothing_of_the_image_is_hidden(
    volumes: list[str], inputs: list[str], outputs: list[tuple[str, FileType]]
) -> None:
    try:
        made = plan(
            volumes=tuple(volumes),
            inputs=tuple(Input(path=path, content="x") for path in inputs),
            outputs=tuple(Output(path=path, url="u", type=kind) for path, kind in outputs),
        )
    except Invalid as error:
        assert "would hide" in str(error) or "writes below" in str(error)
        return
    seen = [parts(mount.target) for mount in made.mounts]
    assert len(set(seen)) == len(seen)
    for path in [*volumes, *inputs, *(path for path, _ in outputs)]:
        assert any(is_within(parts(path), target) for target in seen)
    for mount in made.mounts:
        assert PurePosixPath(mount.source) == ROOT.joinpath(*parts(mount.target))
        file = any(parts(mount.target) == parts(one) for one in (*made.files, *inputs))
        assert file or parts(mount.target) not in SEALED
    assert SEALED < CROWDED
