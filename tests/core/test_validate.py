from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.error import Invalid, Problem
from funnel.core.limits import LIMITS, Limits
from funnel.core.task import Executor, FileType, Input, Output, Resources, Spec
from funnel.core.validate import check

STEP = Executor(image="alpine", command=("true",))


def spec(**given: Any) -> Spec:
    asked: dict[str, Any] = {"executors": (STEP,), **given}
    return Spec(**asked)


def step(**given: Any) -> Spec:
    asked: dict[str, Any] = {"image": "alpine", "command": ("true",), **given}
    return Spec(executors=(Executor(**asked),))


def refused(of: Spec, limits: Limits = LIMITS) -> Invalid:
    with pytest.raises(Invalid) as caught:
        check(of, limits)
    return caught.value


def problems(of: Spec) -> list[tuple[str, str]]:
    return [(one.field, one.message) for one in refused(of).problems]


def test_an_empty_task_is_told_what_it_needs() -> None:
    assert str(refused(Spec())) == (
        "invalid task message:\nTask.Executors: at least one executor is required\n"
    )


def test_two_files_cannot_be_stored_at_one_url() -> None:
    one, other = Output(path="/out/a", url="file:///x"), Output(path="/out/b", url="file:///x")
    assert problems(spec(outputs=(one, other))) == [
        ("outputs[1].url", "is also outputs[0].url, of another path")
    ]
    check(spec(outputs=(one, one)))
    patterns = (Output(path="/out/*.a", url="file:///x"), Output(path="/out/*.b", url="file:///x"))
    check(spec(outputs=patterns))


def test_everything_wrong_is_told_at_once_in_the_order_of_the_task() -> None:
    wrong = Spec(
        executors=(Executor(image="", command=()),),
        inputs=(Input(path=""),),
        outputs=(Output(path="", url=""),),
        volumes=("not-absolute",),
    )
    assert str(refused(wrong)) == (
        "invalid task message:\n"
        "Task.Executors[0].Image: required, but empty\n"
        "Task.Executors[0].Command: required, but empty\n"
        "Task.Inputs[0].Url: required, but empty\n"
        "Task.Inputs[0].Path: required, but empty\n"
        "Task.Outputs[0].Url: required, but empty\n"
        "Task.Outputs[0].Path: required, but empty\n"
        "Task.Volumes[0]: must be an absolute path\n"
    )
    assert refused(wrong).problems[0] == Problem("executors[0].image", "required, but empty")


def test_content_and_url_exclude_each_other() -> None:
    both = spec(inputs=(Input(path="/a", content="x", url="file:///x"),))
    assert "Task.Inputs[0].Content: must be empty when Url is non-empty\n" in str(refused(both))


@pytest.mark.parametrize(
    "good",
    [
        spec(),
        spec(inputs=(Input(path="/a", content="x"),)),
        spec(inputs=(Input(path="/a", url="/bare/path"), Input(path="/a/b", url="s3://b/c"))),
        spec(outputs=(Output(path="/a", url="s3://b/a"), Output(path="/a", url="s3://b/b"))),
        spec(inputs=(Input(path="/a", url="/u"),), outputs=(Output(path="/a", url="/u"),)),
        spec(outputs=(Output(path="/vol/*", path_prefix="/vol", url="/out"),)),
        spec(outputs=(Output(path="/vol/a", path_prefix="ignored", url="/out"),)),
        spec(outputs=(Output(path="/vol/*.txt", url="/out"),)),
        spec(volumes=("/v", "/v")),
        spec(tags={"foo": ""}),
        spec(resources=Resources(cpu_cores=2**31 - 1, ram_gb=0.5)),
        spec(name="n" * 4096),
        spec(inputs=(Input(path="/a..b/..c", content="é" * 65536),)),
        step(command=("echo", "", "a\nb")),
        step(env={"A": "", "a.b-c": "x=y\nz"}),
        step(workdir="/w", stdin="/in", stdout="/out", stderr="/out"),
        spec(description="\\u0000 is written so"),
        spec(executors=(STEP,) * 100),
        spec(description="d" * 65536),
        spec(inputs=(Input(path="/a", url="drs://host/id"), Input(path="/b", url="S3+x://b/c"))),
        spec(inputs=(Input(path="/a", url="file:///x"), Input(path="/b", url="htsget:x"))),
        spec(inputs=(Input(path="/" + "a" * 255, url="/x/" + "a" * 16381),)),
        spec(inputs=(Input(path="/etc/hosts.d/a", url="/x"),), volumes=("/etcetera", "/usr/local")),
        spec(outputs=(Output(path="/etc/a", url="/x"), Output(path="/r", url="/y"))),
        spec(inputs=(Input(path="/a", content="x"),), outputs=(Output(path="/a", url="/x"),)),
        spec(resources=Resources(zones=("z",) * 256, backend_parameters={"a": "b" * 4096})),
        step(workdir="/"),
        step(workdir="/dev/shm", stdout="/dev/null", stderr="/dev/stderr"),
        step(workdir="/etc"),
        step(command=("é" * 65535 + "a",)),
        step(command=("a",) * 100_000),
        step(env={"A": "a" * (131071 - 2)}),
        step(env={f"A{n}": "" for n in range(1024)}),
    ],
)
def test_what_is_well_is_taken(good: Spec) -> None:
    check(good)


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        (step(image="A b"), "executors[0].image", "not an image name: it must not contain"),
        (step(workdir="w"), "executors[0].workdir", "must be an absolute path"),
        (step(stdin="i"), "executors[0].stdin", "must be an absolute path"),
        (step(stdout="o"), "executors[0].stdout", "must be an absolute path"),
        (step(stderr="e"), "executors[0].stderr", "must be an absolute path"),
        (step(stdout="/a/../b"), "executors[0].stdout", "must not contain '..'"),
        (step(env={"": "x"}), 'executors[0].env[""]', "a name must not be empty"),
        (step(env={"A=B": "x"}), 'executors[0].env["A=B"]', "a name must not be empty"),
        (step(env={"A B": "x"}), 'executors[0].env["A B"]', "a name must not be empty"),
        (step(env={"A": "\0"}), 'executors[0].env["A"]', "must not contain NUL"),
        (step(command=("a", "b\0")), "executors[0].command[1]", "must not contain NUL"),
        (spec(executors=(STEP,) * 101), "executors", "must be at most 100, not 101"),
        (spec(inputs=(Input(path="/a"),)), "inputs[0].url", "required, but empty"),
        (spec(inputs=(Input(path="a", url="/u"),)), "inputs[0].path", "must be an absolute path"),
        (spec(inputs=(Input(path="/", url="/u"),)), "inputs[0].path", "must not be the root"),
        (spec(inputs=(Input(path="/./", url="/u"),)), "inputs[0].path", "must not be the root"),
        (spec(inputs=(Input(path="/a/..", url="/u"),)), "inputs[0].path", "must not contain '..'"),
        (spec(inputs=(Input(path="/a\0", url="/u"),)), "inputs[0].path", "must not contain NUL"),
        (spec(inputs=(Input(path="/a\n", url="/u"),)), "inputs[0].path", "must not contain contr"),
        (spec(inputs=(Input(path="/a", url="/u\x7f"),)), "inputs[0].url", "must not contain contr"),
        (
            spec(inputs=(Input(path="/" + "a/" * 2048, url="/u"),)),
            "inputs[0].path",
            "must be at most 4096 bytes",
        ),
        (
            spec(inputs=(Input(path="/a", content="a" * (128 * 1024 + 1)),)),
            "inputs[0].content",
            "must be at most 131072 bytes",
        ),
        (
            spec(inputs=(Input(path="/a", content="a\0"),)),
            "inputs[0].content",
            "must not contain NUL",
        ),
        (
            spec(inputs=(Input(path="/a", url="/u"), Input(path="//a/./", url="/v"))),
            "inputs[1].path",
            '"//a/./" is also inputs[0].path',
        ),
        (
            spec(inputs=(Input(path="/a", url="/u"),), volumes=("/a/",)),
            "volumes[0]",
            '"/a/" is also inputs[0].path',
        ),
        (
            spec(outputs=(Output(path="a", url="/u"),)),
            "outputs[0].path",
            "must be an absolute path",
        ),
        (
            spec(outputs=(Output(path="/w/*", path_prefix="/x", url="/u"),)),
            "outputs[0].path_prefix",
            'path must begin with it, but is "/w/*"',
        ),
        (spec(volumes=("",)), "volumes[0]", "must be an absolute path"),
        (spec(volumes=("/",)), "volumes[0]", "must not be the root directory"),
        (spec(volumes=("//.//",)), "volumes[0]", "must not be the root directory"),
        (spec(volumes=("/etc/",)), "volumes[0]", "would hide what the image has there"),
        (spec(volumes=("/./usr//lib/.",)), "volumes[0]", "would hide what the image has there"),
        (spec(volumes=("/proc/1/environ",)), "volumes[0]", "would hide what the image has there"),
        (spec(inputs=(Input(path="/dev/x", url="/u"),)), "inputs[0].path", "would hide what the"),
        (spec(outputs=(Output(path="/var", url="/u"),)), "outputs[0].path", "would hide what the"),
        (spec(outputs=(Output(path="/*", url="/u"),)), "outputs[0].path", "/ cannot be searched"),
        (
            spec(outputs=(Output(path="/usr/share/*.d/x", url="/u"),)),
            "outputs[0].path",
            "/usr/share cannot be searched, the image has files there; write to a directory of",
        ),
        (step(stdout="/"), "executors[0].stdout", "must not be the root directory"),
        (step(stdin="/."), "executors[0].stdin", "must not be the root directory"),
        (step(stderr="/etc"), "executors[0].stderr", "would hide what the image has there"),
        (step(workdir="/proc/self/fd/8"), "executors[0].workdir", "must not be in /dev, /proc or"),
        (step(workdir="//dev/fd/8"), "executors[0].workdir", "must not be in /dev, /proc or /sys"),
        (
            spec(inputs=(Input(path="/a", content="x"),), outputs=(Output(path="/a/b", url="/u"),)),
            "inputs[0].path",
            "is a file, and the task has that path for a directory as well",
        ),
        (
            spec(
                inputs=(Input(path="/a", content="x"),),
                outputs=(Output(path="/a", url="/u", type=FileType.DIRECTORY),),
            ),
            "inputs[0].path",
            "is a file, and the task has that path for a directory as well",
        ),
        (spec(inputs=(Input(path="/a", url="u/v"),)), "inputs[0].url", "must be a URL or an absol"),
        (spec(outputs=(Output(path="/a", url="../x"),)), "outputs[0].url", "must be a URL or an"),
        (spec(inputs=(Input(path="/a", url="file://x/y"),)), "inputs[0].url", "must be a URL or"),
        (spec(inputs=(Input(path="/a", url="1a:/x"),)), "inputs[0].url", "must be a URL or an"),
        (spec(outputs=(Output(path="/a", url="/" * 16385),)), "outputs[0].url", "must be at most"),
        (
            spec(inputs=(Input(path="/" + "a" * 256, url="/u"),)),
            "inputs[0].path",
            "no part of it may have more than 255 bytes",
        ),
        (
            step(command=("a", "b" * 131072)),
            "executors[0].command[1]",
            "must be at most 131071 bytes, or Linux does not start the program",
        ),
        (
            step(env={"A": "a" * 131070}),
            'executors[0].env["A"]',
            "must be at most 131071 bytes, or Linux does not start the program",
        ),
        (step(command=("a",) * 100_001), "executors[0].command", "must be at most 100000, not"),
        (step(env={f"A{n}": "" for n in range(1025)}), "executors[0].env", "must be at most 1024"),
        (spec(description="d" * 65537), "description", "must be at most 65536 bytes"),
        (spec(inputs=(Input(path="/a", url="/u", name="n" * 4097),)), "inputs[0].name", "must be"),
        (
            spec(outputs=(Output(path="/a", url="/u", description="é" * 32769),)),
            "outputs[0].description",
            "must be at most 65536 bytes",
        ),
        (spec(resources=Resources(zones=("z",) * 257)), "resources.zones", "must be at most 256"),
        (
            spec(resources=Resources(backend_parameters={"a": "b" * 4097})),
            'resources.backend_parameters["a"]',
            "must be at most 4096 bytes",
        ),
        (spec(tags={"": "x"}), 'tags[""]', "empty key"),
        (spec(tags={"a": "x" * 4097}), 'tags["a"]', "must be at most 4096 bytes"),
        (spec(tags={"a": "\0"}), 'tags["a"]', "must not contain NUL"),
        (spec(tags={str(n): "" for n in range(257)}), "tags", "must be at most 256, not 257"),
        (spec(name="n" * 4097), "name", "must be at most 4096 bytes"),
        (spec(description="\0"), "description", "must not contain NUL"),
        (spec(resources=Resources(cpu_cores=-1)), "resources.cpu_cores", "must not be negative"),
        (
            spec(resources=Resources(cpu_cores=2**70)),
            "resources.cpu_cores",
            "must be at most 2147483647",
        ),
        (spec(resources=Resources(ram_gb=-0.1)), "resources.ram_gb", "must not be negative"),
        (spec(resources=Resources(ram_gb=1e308)), "resources.ram_gb", "must be at most 2147483647"),
        (
            spec(resources=Resources(disk_gb=float("inf"))),
            "resources.disk_gb",
            "must be a finite number",
        ),
        (
            spec(resources=Resources(ram_gb=float("nan"))),
            "resources.ram_gb",
            "must be a finite number",
        ),
        (spec(resources=Resources(zones=("\0",))), "resources.zones[0]", "must not contain NUL"),
    ],
)
def test_each_wrong_field_is_named(wrong: Spec, field: str, message: str) -> None:
    found = problems(wrong)
    assert len(found) == 1, found
    assert found[0][0] == field
    assert found[0][1].startswith(message)


def test_names_in_the_text_are_those_of_the_reference() -> None:
    wrong = spec(
        resources=Resources(cpu_cores=-1),
        outputs=(Output(path="/w/*", path_prefix="x", url="/u"),),
        tags={"": "x", "a_b[0]": "y" * 5000},
    )
    lines = str(refused(wrong)).splitlines()
    assert 'Task.Outputs[0].PathPrefix: path must begin with it, but is "/w/*"' in lines
    assert "Task.Resources.CpuCores: must not be negative" in lines
    assert 'Task.Tags[""]: empty key' in lines
    assert 'Task.Tags["a_b[0]"]: must be at most 4096 bytes' in lines


def test_a_flood_of_problems_is_cut_short() -> None:
    error = refused(spec(volumes=("v",) * 10_000))
    assert len(error.problems) == 100
    assert str(error).endswith("Task.Volumes[99]: must be an absolute path\nand more\n")


def test_limits_are_settings() -> None:
    assert refused(spec(name="abc"), Limits(name=2)).problems[0].field == "name"
    check(spec(name="abc"), Limits(name=3))


PART = st.sampled_from(["", ".", "..", "a", "b", "etc", "usr", "lib", "proc", "dev", "var", "*"])
PATHS = st.text(alphabet="/.a*\0\n", max_size=6) | st.lists(PART, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
KINDS = st.sampled_from(FileType)
TASKS = st.builds(
    Spec,
    name=st.text(max_size=3),
    executors=st.lists(
        st.builds(
            Executor,
            image=st.just("a") | st.text(max_size=3),
            command=st.lists(st.text(max_size=2), max_size=2).map(tuple),
            workdir=PATHS,
            stdout=PATHS,
            stderr=PATHS,
            env=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    inputs=st.lists(
        st.builds(
            Input,
            path=PATHS,
            url=st.just("/a") | st.text(max_size=2),
            content=st.text(max_size=2),
            type=KINDS,
        ),
        max_size=3,
    ).map(tuple),
    outputs=st.lists(
        st.builds(
            Output,
            path=PATHS,
            url=st.just("/a") | st.text(max_size=2),
            path_prefix=PATHS,
            type=KINDS,
        ),
        max_size=2,
    ).map(tuple),
    volumes=st.lists(PATHS, max_size=2).map(tuple),
    tags=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
    resources=st.builds(Resources, cpu_cores=st.integers(), ram_gb=st.floats()),
)


@given(TASKS)
def test_any_task_is_taken_or_told_what_is_wrong(any_spec: Spec) -> None:
    found = verdict(any_spec)
    if found:
        assert len(str(found).split("\n")) == len(found.problems) + 2
        return
    paths = [one.path for one in (*any_spec.inputs, *any_spec.outputs)]
    for path in (*paths, *any_spec.volumes):
        assert path.startswith("/")
        assert ".." not in path.split("/")
        assert "\0" not in path


def verdict(of: Spec) -> Invalid | None:
    try:
        check(of)
    except Invalid as error:
        return error
    return None
