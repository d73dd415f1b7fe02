"""Plans as real containers see them."""

import subprocess
from pathlib import PurePosixPath

import pytest
from scene import STEP, Attempt, output

from funnel.core.plan import with_workdir
from funnel.core.task import Executor, FileType, Input, Spec
from funnel.service.publish import place
from funnel.service.stage import make_folders

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]
DIRECTORY = FileType.DIRECTORY


def run(attempt: Attempt, script: str, *flags: str) -> str:
    """What a command prints, in a container with the mounts of the plan."""
    mounts = [
        f"--mount=type=bind,src={one.source},dst={one.target}"
        + ("" if one.writable else ",readonly")
        for one in attempt.plan.mounts
    ]
    argv = ["docker", "run", "--rm", *mounts, *flags, "alpine", "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_inputs_in_place_are_seen_and_cannot_be_changed(attempt: Attempt) -> None:
    source = attempt.host / "data"
    source.mkdir()
    (source / "x").write_text("precious")
    inputs = (
        Input(path="/in/dir", url=str(source), type=DIRECTORY),
        Input(path="/out/x", url=f"{source}/x"),
        Input(path="/etc/tool.conf", content="configured"),
    )
    outputs = (output("/out", "mem://b/out", type=DIRECTORY),)
    spec = Spec(executors=(STEP,), inputs=inputs, outputs=outputs)
    await attempt.stage(spec, {0: str(source), 1: f"{source}/x"})
    script = (
        "cat /in/dir/x /out/x /etc/tool.conf; grep -c root /etc/passwd;"
        "for f in /in/dir/x /out/x /etc/tool.conf /in/dir/new; do echo no >$f && exit 9; done;"
        "echo made >/out/new"
    )
    assert run(attempt, script) == "preciouspreciousconfigured1\n"
    await attempt.publish(*outputs)
    assert await attempt.stored() == {"out/x": "precious", "out/new": "made\n"}
    assert (source / "x").read_text() == "precious"


async def test_a_directory_that_is_brought_has_writable_ones_in_it(attempt: Attempt) -> None:
    await attempt.store({"mem://b/d/x": "1", "mem://b/d/sub/y": "2"})
    inputs = (Input(path="/data", url="mem://b/d", type=DIRECTORY),)
    outputs = (output("/data/sub/new", "mem://b/new"),)
    await attempt.stage(Spec(executors=(STEP,), inputs=inputs, outputs=outputs))
    script = "cat /data/x /data/sub/y; echo no >/data/z || echo yes >/data/sub/new"
    assert run(attempt, script, "--user=1234") == "12"
    await attempt.publish(*outputs)
    assert (await attempt.stored())["new"] == "yes\n"


async def test_files_are_written_straight_into_directories_of_the_image(attempt: Attempt) -> None:
    paths = ("/result", "/etc/made.conf", "/usr/local/bin/made", "/root/made", "/opt/made")
    outputs = tuple(output(path, f"mem://b{path}") for path in paths)
    await attempt.stage(Spec(executors=(STEP,), outputs=outputs))
    script = f"for f in {' '.join(paths)}; do echo $f >$f; done; ls /bin/sh /etc/passwd"
    run(attempt, script, "--user=1234", "--read-only")
    await attempt.publish(*outputs)
    assert await attempt.stored() == {path[1:]: f"{path}\n" for path in paths}


async def test_a_workdir_may_lie_around_what_is_mounted(attempt: Attempt) -> None:
    inputs = (Input(path="/vol/in", content="x"),)
    await attempt.stage(Spec(executors=(STEP,), inputs=inputs))
    attempt.plan = with_workdir(attempt.plan, PurePosixPath(attempt.root), "/vol")
    make_folders(attempt.plan, attempt.root)
    said = run(attempt, "cat in; echo 1 >new; mv in other || echo kept", "--workdir=/vol")
    assert said == "xkept\n"


async def test_a_shared_directory_is_written_to(attempt: Attempt) -> None:
    shared = attempt.host / "shared"
    shared.mkdir()
    inputs = (Input(path="/store", url=str(shared), type=DIRECTORY),)
    outputs = (output("/store/deep/o", "mem://b/o"),)
    spec = Spec(executors=(STEP,), inputs=inputs, outputs=outputs)
    attempt.plan = attempt.planned(spec, {0: str(shared)}, 0)
    make_folders(attempt.plan, attempt.root)
    run(attempt, "mkdir /store/deep; echo 1 >/store/deep/o")
    assert (shared / "deep/o").read_text() == "1\n"
    await attempt.publish(*outputs)
    assert await attempt.stored() == {"o": "1\n"}


async def test_what_one_executor_prints_another_can_read(attempt: Attempt) -> None:
    steps = (
        Executor(image="alpine", command=("a",), stdout="/logs/one", stderr="/two"),
        Executor(image="alpine", command=("b",)),
    )
    await attempt.stage(Spec(executors=steps))
    captured = attempt.root.parent / "captured"
    captured.write_text(run(attempt, "echo printed"))
    for path in ("/logs/one", "/two"):
        place([captured], path, attempt.tree)
    assert run(attempt, "cat /logs/one /two", "--user=1234") == "printed\nprinted\n"


async def test_links_that_a_container_makes_are_followed_as_it_would(attempt: Attempt) -> None:
    outputs = (output("/out", "mem://b/out", type=DIRECTORY), output("/tmp/l", "mem://b/l"))
    await attempt.stage(Spec(executors=(STEP,), outputs=outputs, volumes=("/vol",)))
    script = (
        "mkdir /vol/d /out/s; echo foo >/vol/d/f; ln -s /vol/d /out/dir; ln -s ../dir/f /out/s/f;"
        "ln -s /out/s/f /tmp/l"
    )
    run(attempt, script)
    await attempt.publish(*outputs)
    assert await attempt.stored() == {"out/dir/f": "foo\n", "out/s/f": "foo\n", "l": "foo\n"}


async def test_a_container_cannot_lead_the_next_one_out(attempt: Attempt) -> None:
    """Whatever it does to its directories, the sources of the next one's mounts are the same."""
    inputs = (Input(path="/in/a/b", content="mine"),)
    outputs = (output("/out/d/x", "mem://b/x"), output("/out", "mem://b/out", type=DIRECTORY))
    await attempt.stage(Spec(executors=(STEP,), inputs=inputs, outputs=outputs))
    plan = attempt.plan
    attempt.plan = with_workdir(plan, PurePosixPath(attempt.root), "/in")
    make_folders(attempt.plan, attempt.root)
    evil = f"cd /in; mv a a2; ln -s {attempt.host} a; cd /out; rm -rf d; ln -s {attempt.host} d; :"
    run(attempt, evil)
    attempt.plan = with_workdir(plan, PurePosixPath(attempt.root), "/in/a")
    make_folders(attempt.plan, attempt.root)
    assert run(attempt, "cat /in/a/b; ls /out/d/ 2>/dev/null; touch /in/a/new; :") == "mine"
    assert [one.name for one in attempt.host.iterdir()] == ["secret"]
