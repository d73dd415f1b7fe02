import asyncio
import hashlib
import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import shelved
from msgspec.structs import replace
from shelved import Counts, Tagged, cached

from funnel.core.error import Denied, Invalid, NotFound, Unavailable
from funnel.ports import Object, Share
from funnel.storage.cache import CachedStorage
from funnel.storage.local import LocalStorage
from funnel.storage.shelf import Shelf


def made(home: Path, name: str, content: str, changed: int = 1) -> str:
    """The URL of a file that was changed at that time."""
    path = home / "store" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    os.utime(path, (changed, changed))
    return f"file://{path}"


def brought(home: Path) -> list[str]:
    """The names of what came from the store."""
    path = home / "brought"
    return [Path(one).name for one in path.read_text().splitlines()] if path.exists() else []


def shelf_files(home: Path) -> list[str]:
    """The kinds of what is on the shelf."""
    return sorted(one.suffix for one in (home / "shelf").iterdir() if one.name != "eviction")


async def test_the_second_task_gets_what_the_first_has_brought(tmp_path: Path) -> None:
    counts, url = Counts(), made(tmp_path, "a", "abc")
    storage = cached(tmp_path, counts=counts)
    first = await storage.get(url, tmp_path / "to/1")
    second = await storage.get(url, tmp_path / "to/2")
    assert first == second
    assert (second.url, second.size_bytes) == (url, 3)
    assert (tmp_path / "to/2").read_text() == "abc"
    assert brought(tmp_path) == ["a"]
    assert counts.files == {"miss": 1, "hit": 1}
    assert counts.size == {"miss": 3, "hit": 3}
    assert shelf_files(tmp_path) == [".file"]


async def test_what_a_task_writes_is_its_own(tmp_path: Path) -> None:
    storage, url = cached(tmp_path), made(tmp_path, "a", "abc")
    for name in ("1", "2", "3"):
        to = tmp_path / "to" / name
        await storage.get(url, to)
        assert to.read_text() == "abc"
        with to.open("r+") as file:
            file.write("xyz")
    assert brought(tmp_path) == ["a"]


async def test_a_new_version_is_brought(tmp_path: Path) -> None:
    storage = cached(tmp_path)
    await storage.get(made(tmp_path, "a", "abc"), tmp_path / "to/1")
    await storage.get(made(tmp_path, "a", "new", changed=2), tmp_path / "to/2")
    assert (tmp_path / "to/2").read_text() == "new"
    assert brought(tmp_path) == ["a", "a"]


@pytest.mark.parametrize("tag", ["", 'W/"1"'])
async def test_what_has_no_strong_tag_is_brought_each_time(tag: str, tmp_path: Path) -> None:
    class Weak(Tagged):
        async def stat(self, url: str) -> Object:
            found = await super().stat(url)
            return Object(url, found.size_bytes, etag=tag)

    shelf = Shelf(tmp_path / "shelf", 1 << 20)
    shelf.open()
    storage, url = CachedStorage(Weak(tmp_path), shelf, Counts()), made(tmp_path, "a", "abc")
    for name in ("1", "2"):
        await storage.get(url, tmp_path / "to" / name)
    assert brought(tmp_path) == ["a", "a"]
    assert shelf_files(tmp_path) == []


async def test_what_changes_meanwhile_is_not_kept(tmp_path: Path) -> None:
    class Changing(Tagged):
        async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
            made(tmp_path, "a", "new", changed=2)
            return await super().get(url, to, share)

    shelf = Shelf(tmp_path / "shelf", 1 << 20)
    shelf.open()
    storage = CachedStorage(Changing(tmp_path), shelf, Counts())
    await storage.get(made(tmp_path, "a", "old"), tmp_path / "to")
    assert (tmp_path / "to").read_text() == "new"
    assert shelf_files(tmp_path) == []


class Summed(Tagged):
    """As a store that tells a checksum, and behind which another one has tags of its own."""

    replaced = ""

    async def stat(self, url: str) -> Object:
        found = await LocalStorage.stat(self, url)
        return replace(found, checksums={"sha256": hashlib.sha256(self._content(url)).hexdigest()})

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        self._replace(url)
        return replace(await super().get(url, to, share), etag='"another"')

    def _content(self, url: str) -> bytes:
        return Path(url.removeprefix("file://")).read_bytes()

    def _replace(self, url: str) -> None:
        if self.replaced:
            Path(url.removeprefix("file://")).write_text(self.replaced)


@pytest.mark.parametrize("replaced", ["", "new"])
async def test_what_has_another_tag_is_known_by_its_checksum(tmp_path: Path, replaced: str) -> None:
    shelf, store = Shelf(tmp_path / "shelf", 1 << 20), Summed(tmp_path)
    shelf.open()
    storage, url = CachedStorage(store, shelf, Counts()), made(tmp_path, "a", "abc")
    store.replaced = replaced
    for name in ("1", "2"):
        await storage.get(url, tmp_path / "to" / name)
        assert (tmp_path / "to" / name).read_text() == (replaced or "abc")
    assert brought(tmp_path) == ["a"] * (3 if replaced else 1)
    assert shelf_files(tmp_path) == [".file"]


async def test_present_rules_say_who_gets_what(tmp_path: Path) -> None:
    url = made(tmp_path, "a", "abc")
    await cached(tmp_path).get(url, tmp_path / "to/1")
    elsewhere = Tagged(tmp_path / "to")
    with pytest.raises(Denied, match="allowed directory"):
        await CachedStorage(elsewhere, Shelf(tmp_path / "shelf", 1 << 20), Counts()).get(
            url, tmp_path / "to/2"
        )
    (tmp_path / "store/a").unlink()
    with pytest.raises(NotFound):
        await cached(tmp_path).get(url, tmp_path / "to/2")
    assert not (tmp_path / "to/2").exists()


async def test_what_is_larger_than_all_of_it_is_brought_past_it(tmp_path: Path) -> None:
    storage, url = cached(tmp_path, size=2), made(tmp_path, "a", "abc")
    await storage.get(url, tmp_path / "to")
    assert (tmp_path / "to").read_text() == "abc"
    assert shelf_files(tmp_path) == []


async def test_a_shelf_that_cannot_be_written_to_costs_no_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage, url = cached(tmp_path), made(tmp_path, "a", "abc")
    (tmp_path / "shelf").rmdir()
    (tmp_path / "shelf").write_text("not a directory")
    with caplog.at_level(logging.WARNING):
        await storage.get(url, tmp_path / "to")
    assert (tmp_path / "to").read_text() == "abc"
    assert "Worker.InputCache: " in caplog.text


async def test_tasks_that_want_the_same_at_once_bring_it_once(tmp_path: Path) -> None:
    counts, url = Counts(), made(tmp_path, "a", "abc")
    storage = cached(tmp_path, counts=counts)
    await asyncio.gather(*(storage.get(url, tmp_path / f"to/{one}") for one in range(20)))
    assert brought(tmp_path) == ["a"]
    assert counts.files == {"miss": 1, "hit": 19}


async def test_who_is_cancelled_lets_the_next_bring_it(tmp_path: Path) -> None:
    url = made(tmp_path, "a", "abc")
    stuck, shelf = Tagged(tmp_path, stuck=True), Shelf(tmp_path / "shelf", 1 << 20)
    shelf.open()
    first = asyncio.create_task(CachedStorage(stuck, shelf, Counts()).get(url, tmp_path / "to/1"))
    await stuck.is_stuck.wait()
    second = asyncio.create_task(cached(tmp_path).get(url, tmp_path / "to/2"))
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    await second
    assert (tmp_path / "to/2").read_text() == "abc"
    assert shelf_files(tmp_path) == [".file"]


def child(home: Path, to: str, urls: list[str], *, stuck: bool = False) -> subprocess.Popen[str]:
    asked = {"home": str(home), "to": str(home / to), "urls": urls, "stuck": stuck}
    argv = [sys.executable, shelved.__file__, json.dumps(asked)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_processes_bring_each_file_once(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(12)]
    urls = [made(tmp_path, name, name * 10_000) for name in names]
    children = [child(tmp_path, f"to{number}", urls) for number in range(4)]
    assert [one.communicate(timeout=60) and one.returncode for one in children] == [0] * 4
    assert sorted(brought(tmp_path)) == sorted(names)
    for number in range(4):
        for name in names:
            assert (tmp_path / f"to{number}" / name).read_text() == name * 10_000
    assert shelf_files(tmp_path) == [".file"] * 12


async def test_what_a_killed_process_has_begun_is_not_used_nor_kept(tmp_path: Path) -> None:
    url, other = made(tmp_path, "a", "abc"), made(tmp_path, "b", "b")
    killed = child(tmp_path, "to1", [url], stuck=True)
    assert killed.stdout
    assert killed.stdout.readline() == "stuck\n"
    killed.kill()
    killed.communicate()
    assert ".part" in shelf_files(tmp_path)
    await cached(tmp_path, size=3).get(other, tmp_path / "to2/b")
    assert shelf_files(tmp_path) == [".file"]
    await cached(tmp_path, size=3).get(url, tmp_path / "to2/a")
    assert (tmp_path / "to2/a").read_text() == "abc"
    assert shelf_files(tmp_path) == [".file"]


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    Shelf(tmp_path / "new", 1).open()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Invalid, match=r"Worker\.InputCache .* written to by others"):
        Shelf(tmp_path / "open", 1).open()
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"cannot make Worker\.InputCache"):
        Shelf(tmp_path / "file/below", 1).open()
