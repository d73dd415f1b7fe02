"""Whatever a task says, the engine is asked for exactly what a second model says, and no more."""

import ast
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hostile import EFFORT, IMAGES, WORDS, folder, image, in_path, variable, word
from recording import RecordingEngine

import funnel
from funnel.core.error import Invalid
from funnel.core.image import objection
from funnel.core.plan import make_plan, with_workdir
from funnel.core.task import Executor, Input, Output, Resources, Spec, TaskId
from funnel.core.validate import check
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Runtime
from funnel.runtime.docker import PLUGIN
from funnel.runtime.settings import Settings
from funnel.service.budget import Budget
from funnel.service.executor import Bench, Run
from funnel.service.settings import WorkerSettings
from funnel.service.solo import Solo
from funnel.service.worker import Worker
from funnel.storage.local import LocalStorage
from funnel.storage.router import Router
from funnel.testing.build import EPOCH

TASKS = 10_000 * EFFORT
WHOLE = 100 * EFFORT
ROOT = PurePosixPath("/vol/t/1/root")
HOST = Host(now=lambda: EPOCH, deployment="here")
OCI = re.compile(
    r"((?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
    r"(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::\d+)?/|\[[\da-fA-F:]+\](?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(:\w[\w.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[\da-fA-F]{32,})?",
    re.ASCII,
)
"""As https://github.com/distribution/reference writes it."""

LOOK = {
    "Image": "sha256:0",
    "Entrypoint": ["none"],
    "Labels": {"funnel.deployment": "here"},
    "HostConfig": {"NetworkMode": "none"},
}
"""A container that is looked into for a path, and never started."""


@dataclass(slots=True)
class Engine:
    recording: RecordingEngine
    runtime: Runtime


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[Engine]:
    recording = RecordingEngine()
    async with (
        recording.listening(tmp_path / "engine.sock") as address,
        PLUGIN.make(Settings(host=address), HOST) as runtime,
    ):
        yield Engine(recording, runtime)


def made(chance: Random) -> Spec:
    """Each path is alone in a directory at the root, so that a simple model knows its mount."""
    folders = iter(folder(chance, number) for number in range(9))
    executor = Executor(
        image=image(chance),
        command=tuple(printable(chance) for _ in range(chance.randint(1, 4))),
        workdir=chance.choice(("", next(folders))),
        stdout=chance.choice(("", f"{next(folders)}/{in_path(chance)}")),
        env={variable(chance): printable(chance) for _ in range(chance.randint(0, 3))},
    )
    return Spec(
        name=printable(chance),
        executors=(executor,),
        inputs=(Input(path=f"{next(folders)}/{in_path(chance)}", content=printable(chance)),),
        outputs=(Output(path=f"{next(folders)}/{in_path(chance)}", url=f"/out/{in_path(chance)}"),),
        volumes=(next(folders),),
        resources=Resources(cpu_cores=chance.randint(0, 3), ram_gb=chance.choice((0.0, 0.5))),
        tags={printable(chance): printable(chance)},
    )


def printable(chance: Random) -> str:
    """Text that is refused for NUL only now and then, and is never nothing."""
    said = word(chance)
    return (said if chance.random() < 0.02 else said.replace("\0", "0")) or "x"


def is_accepted(spec: Spec) -> bool:
    try:
        check(spec)
    except Invalid:
        return False
    return True


def plain(path: str) -> str:
    return "/" + "/".join(one for one in path.split("/") if one not in ("", "."))


def expected_mounts(spec: Spec, root: PurePosixPath) -> list[Mapping[str, Any]]:
    """The second model: what each kind of path gets, none of which lies in another."""
    (executor,), (given,), (output,) = spec.executors, spec.inputs, spec.outputs
    # A pattern is searched in the deepest directory without a wildcard.
    shown, *pattern = re.split(r"/(?=[^/]*[*?[])", output.path, maxsplit=1)
    files = [f"{shown}/x" if pattern else shown, *([executor.stdout] if executor.stdout else [])]
    above = [plain(one).rpartition("/")[0] or plain(one) for one in files]
    writable = {"/tmp", plain(spec.volumes[0]), *above}
    mounts = [(one, f"{root}{one}", True) for one in writable]
    mounts.append((plain(given.path), f"{root}{plain(given.path)}", False))
    if executor.workdir:
        at = plain(executor.workdir)
        name = sha256(at.encode(errors="surrogateescape")).hexdigest()[:16]
        mounts.append((at, f"{root}/.workdir-{name}", True))
    return [
        {"Type": "bind", "Source": source, "Target": target, "ReadOnly": not writes}
        for target, source, writes in sorted(mounts, key=lambda one: one[0].split("/"))
    ]


def expected(spec: Spec, task_id: str, root: PurePosixPath) -> Mapping[str, Any]:
    (executor,) = spec.executors
    command = list(executor.command)
    if len(command) == 1:
        command = ["/bin/sh", "-c", *command]
    memory = {"Memory": 500_000_000, "MemorySwap": 500_000_000} if spec.resources.ram_gb else {}
    return {
        "Image": executor.image,
        "Entrypoint": command[:1],
        "Cmd": command[1:],
        "Env": [f"{name}={value}" for name, value in executor.env.items()],
        **({"WorkingDir": executor.workdir} if executor.workdir else {}),
        "Labels": {
            "funnel.task": task_id,
            "funnel.attempt": "1",
            "funnel.executor": "0",
            "funnel.deployment": "here",
        },
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Init": True,
            "PidsLimit": 4096,
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "NetworkMode": "default",
            "LogConfig": {
                "Type": "local",
                "Config": {"max-size": "8000p", "max-file": "1", "compress": "false"},
            },
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "CpuPeriod": 100_000,
            "CpuQuota": 100_000 * (spec.resources.cpu_cores or 1),
            "Mounts": expected_mounts(spec, root),
            **memory,
        },
    }


async def asked_for(spec: Spec, runtime: Runtime) -> None:
    """Ask for the container of the first executor, as an attempt does."""
    plan = make_plan(spec, ROOT, {})
    if workdir := spec.executors[0].workdir:
        plan = with_workdir(plan, ROOT, workdir)
    bench = SimpleNamespace(
        task=SimpleNamespace(id="t", executors=spec.executors),
        fence=1,
        cpus=float(spec.resources.cpu_cores or 1),
        memory_bytes=round(spec.resources.ram_gb * 10**9),
    )
    run: Any = Run(cast("Bench", bench), 0, None)
    await runtime.create(run._container(plan))


@pytest.mark.timeout(60 + 60 * EFFORT)
async def test_ten_thousand_hostile_tasks_ask_for_what_the_model_says(engine: Engine) -> None:
    chance, taken = Random(5), 0
    for _ in range(TASKS):
        spec = made(chance)
        if not is_accepted(spec):
            continue
        taken += 1
        await asked_for(spec, engine.runtime)
        name, body = engine.recording.created.pop()
        assert name == "t-0"
        assert body == expected(spec, "t", ROOT)
    assert not engine.recording.created
    assert taken > TASKS // 2


async def test_what_is_refused_is_refused_for_a_reason_and_what_is_taken_is_well_formed() -> None:
    chance = Random(6)
    taken = 0
    for _ in range(TASKS):
        spec = made(chance)
        (executor,) = spec.executors
        if is_accepted(spec):
            taken += 1
            assert OCI.fullmatch(executor.image)
            assert all(re.fullmatch(r"[^=\s\0-\x1f\x7f]+", name) for name in executor.env)
            said = [executor.workdir, executor.stdout, *spec.volumes, spec.inputs[0].path]
            assert not any(re.search(r"[\0-\x1f\x7f]|(^|/)\.\.(/|$)", path) for path in said)
    assert taken


def test_two_thousand_images_that_begin_an_option_are_refused() -> None:
    chance = Random(7)
    for _ in range(2_000):
        name = "-" + "".join(chance.choices((*IMAGES, *WORDS, "-", "a", ":", "/"), k=3))
        assert objection(name)


def test_both_grammars_of_images_agree() -> None:
    chance = Random(8)
    letters = (*"aZ09._-:/@[] \n", "__", "sha256:", "0" * 64, "localhost", "::1", ":5000")
    valid = 0
    for _ in range(TASKS):
        name = "".join(chance.choices(letters, k=chance.randint(1, 7)))
        valid += not objection(name)
        assert bool(OCI.fullmatch(name)) == (not objection(name)), name
    assert valid > TASKS // 100


@pytest.mark.timeout(60 + 60 * EFFORT)
async def test_whole_attempts_ask_for_nothing_else(engine: Engine, tmp_path: Path) -> None:
    """From the task to the last request, over the real worker: one container, and its life."""
    chance, files = Random(9), tmp_path / "files"
    files.mkdir()
    worker = Worker(
        tasks=cast("Any", None),
        storage=Router([LocalStorage([files])]),
        runtime=engine.runtime,
        budget=Budget(),
        settings=WorkerSettings(work_dir=str(tmp_path / "work")),
        hostname="here",
        deployment="test",
        now=lambda: EPOCH,
        metrics=Metrics(),
    )
    run = 0
    while run < WHOLE:
        spec = made(chance)
        if not is_accepted(spec):
            continue
        run += 1
        await whole(spec, engine, worker, tmp_path / "work" / f"t{run}" / "1" / "root")
    assert not list((tmp_path / "work").iterdir())


async def whole(spec: Spec, engine: Engine, worker: Worker, root: Path) -> None:
    task_id = root.parts[-3]
    solo = Solo(TaskId(task_id), spec, lambda: EPOCH)
    engine.recording.asked.clear()
    await solo.run(replace(worker, tasks=solo).run)
    (name, body), *probes = reversed(engine.recording.created)
    engine.recording.created.clear()
    assert name == f"{task_id}-0"
    assert body == expected(spec, task_id, PurePosixPath(root))
    assert all(one == LOOK for _, one in probes)
    assert len(probes) <= bool(spec.executors[0].workdir)
    kinds = {path.removeprefix("/v1.41").split("/")[1] for _, path in engine.recording.asked}
    assert kinds <= {"_ping", "containers", "images"}


RUN_PROGRAMS = {"program.py", "keeper/keeper.py", "keeper/waiter.py"}


def test_nothing_of_ours_runs_a_program_but_for_logins_and_keepers() -> None:
    """
    There is no command line for text of a task to get into.

    A credential helper has its name from a file of the server's user, and reads the registry's
    from its input; a profile of AWS names its program in such a file; `az` has words of ours alone.
    A keeper is Python with a file of ours, and reads its order from its input.
    """
    package = Path(funnel.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for name in names_in(ast.parse(path.read_text()))
        if STARTS_PROGRAMS.fullmatch(name)
    }
    assert found == RUN_PROGRAMS


STARTS_PROGRAMS = re.compile(
    r"(multiprocessing|pty|subprocess)\b.*|os\.(system|popen|exec|spawn|posix_spawn|fork).*"
    r"|.*\.(create_subprocess|subprocess)_.*"
)


def names_in(tree: ast.Module) -> set[str]:
    """All that is imported, and all attributes of names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=imported):
                names |= {one.name for one in imported}
            case ast.ImportFrom(module=module, names=imported):
                names |= {f"{module}.{one.name}" for one in imported}
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                names.add(f"{name}.{attribute}")
            case _:
                pass
    return names


@pytest.mark.parametrize(
    "text",
    [
        *("import subprocess as x", "from subprocess import run", "from os import system"),
        *("os.execvp(a, b)", "os.posix_spawn(a)", "asyncio.create_subprocess_exec(a)"),
    ],
)
def test_the_search_for_programs_finds_them(text: str) -> None:
    assert any(STARTS_PROGRAMS.fullmatch(name) for name in names_in(ast.parse(text)))
