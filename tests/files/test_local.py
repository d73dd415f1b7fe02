import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from funnel.core.error import Denied, FunnelError, Invalid, NotFound
from funnel.plugins import Host
from funnel.storage.local import PLUGIN, LocalStorage, Settings
from funnel.storage.memory import MemoryStorage
from funnel.storage.router import Router


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "file").write_text("inside")
    for name in ("outside", "allowed-too"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("canary")
    return folder


@pytest.fixture
def storage(allowed: Path) -> LocalStorage:
    return LocalStorage([allowed], [allowed / "shared"], [allowed / "own" / "funnel.db"])


def _is_there(path: Path) -> bool:
    return path.exists()


async def refused(storage: LocalStorage, url: str, to: Path) -> None:
    for call in (storage.stat, storage.list_objects):
        with pytest.raises((Denied, Invalid)):
            await call(url)
    with pytest.raises((Denied, Invalid)):
        await storage.get(url, to)
    with pytest.raises((Denied, Invalid)):
        storage.in_place(url)
    with pytest.raises((Denied, Invalid)):
        await storage.put(BytesIO(b"x"), url)
    assert not _is_there(to)


@pytest.mark.parametrize(
    "path",
    [
        *("{0}/../outside/file", "{0}/../allowed-too/file", "/etc/shadow", "{0}/../../../etc/x"),
        *("{0}/link/file", "{0}/./x/../../outside/file", "/", "/proc/self/environ"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "file://{}"])
async def test_what_is_not_allowed_is_out_of_reach(
    storage: LocalStorage, allowed: Path, path: str, form: str, tmp_path: Path
) -> None:
    (allowed / "link").symlink_to(tmp_path / "outside")
    await refused(storage, form.format(path.format(allowed)), tmp_path / "to")
    assert (tmp_path / "outside" / "file").read_text() == "canary"


@pytest.mark.parametrize("url", ["file://relative", "file://", "file:///a\0b", "relative"])
async def test_what_is_no_path_is_refused(storage: LocalStorage, url: str, tmp_path: Path) -> None:
    await refused(storage, url, tmp_path / "to")


async def test_nobody_learns_what_there_is_outside(storage: LocalStorage, tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("outside/file", "outside/none", "nowhere/none"):
        with pytest.raises(Denied) as error:
            await storage.stat(f"{tmp_path}/{name}")
        said.append(str(error.value).replace(name, ""))
    assert len(set(said)) == 1


async def test_the_servers_own_files_are_out_of_reach(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    own = allowed / "own"
    own.mkdir()
    (own / "funnel.db").write_text("canary")
    (own / "other").write_text("fine")
    (allowed / "alias").symlink_to(own / "funnel.db")
    (allowed / "folder").mkdir()
    (allowed / "folder" / "alias").symlink_to(own / "funnel.db")
    for path in (own / "funnel.db", allowed / "alias"):
        with pytest.raises(Denied, match="belongs to the server"):
            await storage.get(str(path), tmp_path / "to")
    with pytest.raises(Denied, match="belongs to the server"):
        await storage.put(BytesIO(), str(own / "funnel.db"))
    with pytest.raises(Denied, match="belongs to the server"):
        await storage.list_objects(str(allowed / "folder"))
    for path in (allowed, own):
        with pytest.raises(Denied, match="holds files of the server"):
            storage.in_place(str(path))
        with pytest.raises(Denied, match="holds files of the server"):
            await storage.list_objects(str(path))
    assert storage.in_place(str(own / "other")) == own / "other"


async def test_links_inside_are_followed(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    (allowed / "link").symlink_to("file")
    assert storage.in_place(f"file://{allowed}/link") == allowed / "file"
    await storage.get(str(allowed / "link"), tmp_path / "to")
    assert (tmp_path / "to").read_text() == "inside"


async def test_a_link_to_nothing_is_missing(storage: LocalStorage, allowed: Path) -> None:
    (allowed / "broken").symlink_to("none")
    with pytest.raises(NotFound, match="broken"):
        storage.in_place(str(allowed / "broken"))
    (allowed / "loop").symlink_to("loop")
    with pytest.raises(FunnelError, match="loop"):
        storage.in_place(str(allowed / "loop"))


async def test_a_directory_is_listed_with_what_its_links_hold(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    (allowed / "d").mkdir()
    (allowed / "more").mkdir()
    (allowed / "more" / "x").write_text("1")
    (allowed / "d" / "more").symlink_to("../more")
    (allowed / "d" / "file").symlink_to(allowed / "file")
    (allowed / "d" / "broken").symlink_to("none")
    os.mkfifo(allowed / "d" / "fifo")
    found = await storage.list_objects(f"file://{allowed}/d/")
    assert [one.url for one in found] == [f"file://{allowed}/d/file", f"file://{allowed}/d/more/x"]
    await storage.get(f"{allowed}/d", tmp_path / "to")
    assert (tmp_path / "to/more/x").read_text() == "1"
    (allowed / "d" / "up").symlink_to("..")
    with pytest.raises(FunnelError, match=r"leads back|holds files"):
        await storage.list_objects(str(allowed / "d" / "up"))
    with pytest.raises(FunnelError):
        await storage.list_objects(str(allowed / "d"))
    (allowed / "d" / "up").unlink()
    (allowed / "d" / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(Denied, match="by its link"):
        await storage.list_objects(str(allowed / "d"))


async def test_what_is_no_file_is_not_opened(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    os.mkfifo(allowed / "fifo")
    with pytest.raises(Denied, match="neither a file nor a directory"):
        await storage.get(str(allowed / "fifo"), tmp_path / "to")


async def test_a_file_is_stored_beside_its_name_and_then_renamed(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    """So that a link under that name is replaced and never written through."""
    (allowed / "link").symlink_to(tmp_path / "outside" / "file")
    with (allowed / "file").open("rb") as source:
        await storage.put(source, str(allowed / "link"))
    assert not (allowed / "link").is_symlink()
    assert (tmp_path / "outside" / "file").read_text() == "canary"
    with pytest.raises(Invalid, match="is not the URL of a file"):
        await storage.put(BytesIO(), str(allowed / "sub" / ".."))


async def test_a_new_file_has_no_other_name_first(
    storage: LocalStorage, allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill between its two names would leave the first among the user's files."""
    monkeypatch.delattr(os, "rename")
    await storage.put(BytesIO(b"text"), f"file://{allowed}/new")
    assert (allowed / "new").read_bytes() == b"text"


async def test_a_directory_is_not_replaced_by_a_file(storage: LocalStorage, allowed: Path) -> None:
    (allowed / "d").mkdir()
    with pytest.raises(Invalid, match="there is a directory"):
        await storage.put(BytesIO(b"x"), str(allowed / "d"))
    with pytest.raises(Invalid, match="Not a directory"):
        await storage.put(BytesIO(b"x"), str(allowed / "file" / "x"))


async def test_what_could_be_run_still_can_be(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    (allowed / "file").chmod(0o755)
    await storage.get(str(allowed / "file"), tmp_path / "to")
    assert (tmp_path / "to").stat().st_mode & 0o111
    with (tmp_path / "to").open("rb") as source:
        await storage.put(source, str(allowed / "back"))
    assert (allowed / "back").stat().st_mode & 0o111


async def test_a_parent_that_is_swapped_is_not_written_through(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    (allowed / "x").mkdir()
    (allowed / "evil").symlink_to(tmp_path / "outside")
    stop = threading.Event()
    thread = threading.Thread(target=_swap, args=(allowed, stop.is_set))
    thread.start()
    try:
        for _ in range(300):
            with suppress(FunnelError):
                await storage.put(BytesIO(b"x"), str(allowed / "x" / "file"))
            with suppress(FunnelError):
                await storage.get(str(allowed / "x" / "file"), tmp_path / "to")
                assert (tmp_path / "to").read_text() == "x"
    finally:
        stop.set()
        thread.join()
    assert (tmp_path / "outside" / "file").read_text() == "canary"


def _swap(here: Path, stopped: Callable[[], bool]) -> None:
    turns = [("x", "real"), ("evil", "x"), ("x", "evil"), ("real", "x")]
    while not stopped():
        for one, other in turns:
            with suppress(OSError):
                (here / one).rename(here / other)


def test_shared_directories_are_written_to_in_place(storage: LocalStorage, allowed: Path) -> None:
    (allowed / "shared" / "job").mkdir(parents=True)
    (allowed / "shared" / "file").touch()
    assert storage.shared(f"file://{allowed}/shared/job/")
    assert not storage.shared(f"{allowed}/shared/file")
    assert not storage.shared(str(allowed))
    assert storage.roots() == (f"file://{allowed}/shared",)


async def test_the_directory_of_the_start_is_allowed_unless_others_are(
    allowed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(allowed)
    host = Host(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), deployment="d")
    async with PLUGIN.make(Settings(), host) as storage:
        assert storage.in_place(str(allowed / "file")) == allowed / "file"
    other = Settings(allowed_dirs=(str(tmp_path / "outside"),))
    async with PLUGIN.make(other, host) as storage:
        assert storage.in_place(f"{tmp_path}/outside/file")
        with pytest.raises(Denied, match="AllowedDirs"):
            storage.in_place(str(allowed / "file"))
    async with PLUGIN.make(Settings(disabled=True), host) as storage:
        with pytest.raises(Denied):
            storage.in_place(str(allowed / "file"))


async def test_the_first_storage_that_takes_a_url_has_it(
    storage: LocalStorage, allowed: Path, tmp_path: Path
) -> None:
    memory = MemoryStorage()
    (allowed / "d").mkdir()
    (allowed / "d" / "x").touch()
    router = Router([storage, memory])
    await router.put(BytesIO(b"x"), "mem://a")
    assert (await memory.stat("mem://a")).size_bytes == 1
    assert (await router.stat("mem://a")).size_bytes == 1
    assert [one.url for one in await router.list_objects(f"{allowed}/d")] == [f"{allowed}/d/x"]
    await router.get("mem://a", tmp_path / "to")
    assert router.in_place(str(allowed / "file")) == allowed / "file"
    assert router.in_place("mem://a") is None
    assert not router.shared(str(allowed))
    assert not router.shared("mem://a")
    assert router.roots() == storage.roots()
    assert router.takes("mem://a")
    assert not router.takes("s3://a")
    with pytest.raises(Invalid, match="no storage takes ftp://;"):
        await router.stat("ftp://me:secret@host/x")
    with pytest.raises(Invalid, match="no storage takes names without a scheme"):
        router.in_place("x")
