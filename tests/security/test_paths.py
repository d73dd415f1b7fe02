"""A path that a task names leads nowhere but to the task's own files, wherever it stands."""

import os
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import cycle
from pathlib import Path, PurePosixPath
from random import Random

import pytest
from corpus import CANARY, names, path, snapshot
from hostile import EFFORT
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scene import Attempt

from funnel.core.error import FunnelError
from funnel.core.plan import with_workdir
from funnel.core.task import Executor, FileType, Input, Output, Spec
from funnel.core.validate import check
from funnel.ports import Object
from funnel.service.publish import place
from funnel.storage.local import LocalStorage

MANY = 3_000 * EFFORT
STEP = Executor(image="alpine", command=("true",))
DIRECTORY = FileType.DIRECTORY


class Host:
    """`files` may be used; all else has a canary, and must stay as it is."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.files = top / "work" / "abc"
        self.outside = [top / "work" / "ab", top / "work" / "abcd", top / "secret"]
        for folder in (self.files, *self.outside):
            folder.mkdir(parents=True)
            (folder / "file").write_text("fine" if folder == self.files else CANARY)
        (self.files / "link").symlink_to(top / "secret")
        (self.files / "up").symlink_to("../ab")
        (self.files / "file-link").symlink_to(top / "secret" / "file")
        (self.files / "loop").symlink_to("loop")
        (self.files / "root").symlink_to("/")
        self.before = [snapshot(one) for one in self.outside]

    def names(self) -> list[Path]:
        links = [
            self.files / name for name in ("link/file", "up/file", "file-link", "loop", "root")
        ]
        return [*(one / "file" for one in self.outside), *self.outside, self.files, *links]

    def is_unchanged(self) -> bool:
        return [snapshot(one) for one in self.outside] == self.before


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def is_inside(found: str | Path, folder: Path) -> bool:
    """By the kernel's own view of where a path leads, links followed."""
    return Path(os.path.realpath(found)).is_relative_to(folder)


async def used(url: str, storage: LocalStorage, to: Path, files: Path) -> int:
    """Try all that is done with a URL; how much of it worked."""
    done = 0
    with suppress(FunnelError):
        place = storage.in_place(url)
        assert place
        assert is_inside(place, files)
        done += 1
    with suppress(FunnelError):
        assert not storage.shared(url)
    for look in (storage.stat(url), storage.list_objects(url)):
        with suppress(FunnelError):
            found = await look
            for one in [found] if isinstance(found, Object) else found:
                assert is_inside(one.url.removeprefix("file://"), files)
            done += 1
    with suppress(FunnelError):
        await storage.get(url, to)
        done += 1
    with suppress(FunnelError):
        stored = await storage.put(BytesIO(b"stored"), url)
        assert is_inside(stored.url.removeprefix("file://"), files)
        done += 1
    return done


@pytest.mark.timeout(60 + 60 * EFFORT)
async def test_urls_lead_to_allowed_directories_only(host: Host, tmp_path: Path) -> None:
    """Each is looked at, listed, mounted, fetched and stored to."""
    storage, chance, done = LocalStorage([host.files]), Random(1), 0
    to = tmp_path / "fetched" / "it"
    to.parent.mkdir()
    for _ in range(MANY):
        done += await used(path(chance, *host.names()), storage, to, host.files)
        if to.is_file():
            assert CANARY not in to.read_text()
    assert done > MANY // 100
    assert host.is_unchanged()
    assert not any(CANARY.encode() in one.read_bytes() for one in files_in(to.parent))


def files_in(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()]


@given(url=st.text(max_size=30).map(lambda text: f"/{text}") | st.text(max_size=30))
def test_any_text_is_a_path_inside_or_none(
    tmp_path_factory: pytest.TempPathFactory, url: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "allowed"
    folder.mkdir(exist_ok=True)
    storage = LocalStorage([folder])
    for asked in (url, f"{folder}/{url}", f"file://{folder}{url}"):
        with suppress(FunnelError):
            found = storage.in_place(asked)
            assert found
            assert is_inside(found, folder)


PLACES: list[Callable[[str], Spec]] = [
    lambda said: Spec(executors=(STEP,), inputs=(Input(path=said, content="given"),)),
    lambda said: Spec(executors=(STEP,), inputs=(Input(path=said, url="mem://b/in"),)),
    lambda said: Spec(
        executors=(STEP,), inputs=(Input(path=said, url="mem://b/dir", type=DIRECTORY),)
    ),
    lambda said: Spec(executors=(STEP,), outputs=(Output(path=said, url="mem://b/out"),)),
    lambda said: Spec(
        executors=(STEP,), outputs=(Output(path=said, url="mem://b/out", type=DIRECTORY),)
    ),
    lambda said: Spec(
        executors=(STEP,),
        outputs=(Output(path=f"{said}/*", path_prefix=said, url="mem://b/out"),),
    ),
    lambda said: Spec(
        executors=(STEP,), outputs=(Output(path="/out/*", path_prefix=said, url="mem://b/out"),)
    ),
    lambda said: Spec(executors=(STEP,), volumes=(said,)),
    lambda said: Spec(executors=(replace(STEP, stdin=said),)),
    lambda said: Spec(executors=(replace(STEP, stdout=said, stderr=said),)),
    lambda said: Spec(executors=(replace(STEP, workdir=said),)),
]


@pytest.mark.timeout(60 + 60 * EFFORT)
async def test_container_paths_stay_in_the_files_of_the_task(host: Host, tmp_path: Path) -> None:
    """In each place of a task; what is accepted is staged, written to, read and published."""
    chance, taken = Random(2), 0
    places = cycle(PLACES)
    for number in range(MANY):
        spec = next(places)(path(chance, *host.names()))
        if is_accepted(spec):
            taken += 1
            await tried(spec, tmp_path / f"task{number}")
    assert taken > MANY // 20
    assert host.is_unchanged()
    assert {one.rstrip("0123456789") for one in names(tmp_path)} == {"host", "task"}


def is_accepted(spec: Spec) -> bool:
    try:
        check(spec)
    except FunnelError:
        return False
    return True


async def tried(spec: Spec, top: Path) -> None:
    """All that is done with the paths of a task, but for its container."""
    attempt = Attempt(top)
    # The scene's own, where this task may have a file.
    (attempt.root / "out").rmdir()
    await attempt.store({"mem://b/in": "given", "mem://b/dir/x/y": "given"})
    beside = snapshot(attempt.host)
    (executor,) = spec.executors
    try:
        await attempt.stage(spec)
    except FunnelError:
        return
    if executor.workdir:
        attempt.plan = with_workdir(attempt.plan, PurePosixPath(attempt.root), executor.workdir)
    for mount in attempt.plan.mounts:
        assert mount.source.startswith(f"{attempt.root}/")
        assert "/../" not in f"{mount.source}/"
    with suppress(FunnelError):
        attempt.tree.open_file(executor.stdin or "/nothing").close()
    captured = attempt.write("../captured", "printed")
    with suppress(FunnelError):
        place([captured], executor.stdout or "/out/log", attempt.tree)
    with suppress(FunnelError):
        await attempt.publish(*spec.outputs)
    assert snapshot(attempt.host) == beside
    assert names(top) == {"attempt", "host"}
    assert names(attempt.root.parent) == {"root", "captured"}


@pytest.mark.timeout(60 + 60 * EFFORT)
async def test_names_in_a_listing_stay_below_their_directory(host: Host, tmp_path: Path) -> None:
    """As an object store may give them, where a name is any text."""
    chance, brought = Random(3), 0
    spec = Spec(
        executors=(STEP,), inputs=(Input(path="/in/dir", url="mem://b/dir", type=DIRECTORY),)
    )
    for number in range(MANY // 10):
        attempt = Attempt(tmp_path / f"task{number}")
        await attempt.store({f"mem://b/dir/{path(chance, *host.names())}": "given"})
        # A name too long for the file system is its own error, which ends the task.
        with suppress(FunnelError, OSError):
            await attempt.stage(spec)
            brought += 1
        assert names(attempt.root) <= {"in", "out", "tmp"}
        assert names(attempt.root / "in") <= {"dir"}
        assert names(attempt.host) == {"secret"}
    assert brought > MANY // 1000
    assert host.is_unchanged()
