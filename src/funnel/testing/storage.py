"""What every storage must do."""

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NotFound
from funnel.ports import Storage
from funnel.storage.share import Unlimited

PIECE = 1 << 23
"""Larger than what an adapter may take for one part."""
LARGE = 32 << 20
"""Of this size, a download can be caught on its way."""
SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1)
NAMES = (
    *("with space", "ünïcode ✓", "100%25", "a+b", "a#b", "q?x=1&y", ".hidden", "..more"),
    *("[x]*", "a'b\"c", "back\\slash", "~", "-rf", "n" * 200),
)


class StorageSuite:
    """
    Subclass, give the fixtures `storage` and `base`, and pytest does the rest.

    `base` is a URL below which each test finds nothing.
    """

    has_directories = True
    """Whether an empty directory can be told from one that is not there."""
    names = NAMES
    """Names of files that it must take as they are."""
    many = 5_000
    """Files in the largest directory."""
    conditional = True
    """Whether it can store a file only where there is none."""
    decides = True
    """Whether its server keeps to that when several write at once."""

    async def content(self, storage: Storage, url: str, tmp_path: Path) -> bytes:
        to = tmp_path / "got" / "file"
        await storage.get(url, to)
        return await asyncio.to_thread(to.read_bytes)

    async def fill(self, storage: Storage, base: str, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            await storage.put(BytesIO(content), f"{base}/{name}")

    async def listed(self, storage: Storage, url: str) -> list[str]:
        return [one.name for one in await storage.list_objects(url)]

    @pytest.mark.parametrize("size", SIZES)
    async def test_what_is_stored_comes_back(
        self, storage: Storage, base: str, tmp_path: Path, size: int
    ) -> None:
        content = os.urandom(size)
        stored = await storage.put(BytesIO(content), f"{base}/a")
        assert (stored.url, stored.size_bytes) == (f"{base}/a", size)
        got = await storage.get(f"{base}/a", tmp_path / "deep" / "er" / "a")
        assert got.size_bytes == size
        assert (tmp_path / "deep" / "er" / "a").read_bytes() == content
        assert (await storage.stat(f"{base}/a")).size_bytes == size

    async def test_a_file_is_stored_from_where_it_was_read_to(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"head and body")
        with source.open("rb") as file:
            file.read(9)
            stored = await storage.put(file, f"{base}/a")
        assert stored.size_bytes == 4
        assert await self.content(storage, f"{base}/a", tmp_path) == b"body"

    async def test_a_large_file_comes_back(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        with source.open("wb") as file:
            file.truncate(100 << 20)
            file.seek(50 << 20)
            file.write(b"middle")
        with source.open("rb") as file:
            stored = await storage.put(file, f"{base}/a")
        assert stored.size_bytes == 100 << 20
        to = tmp_path / "got"
        await storage.get(f"{base}/a", to)
        with to.open("rb") as file:
            file.seek(50 << 20)
            assert file.read(6) == b"middle"
        assert to.stat().st_size == 100 << 20

    async def test_names_are_taken_as_they_are(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        urls = [f"{base}/dir/{name}" for name in self.names]
        for url in urls:
            assert (await storage.put(BytesIO(url.encode()), url)).url == url
        found = await storage.list_objects(f"{base}/dir")
        assert [one.name for one in found] == sorted(self.names)
        assert sorted(one.url for one in found) == sorted(urls)
        for url in urls:
            assert await self.content(storage, url, tmp_path) == url.encode()

    async def test_the_last_one_stored_stays(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"a": b"something long"})
        await self.fill(storage, base, {"a": b"short"})
        assert await self.content(storage, f"{base}/a", tmp_path) == b"short"

    async def test_what_is_got_replaces_what_was_there(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"a": b"new"})
        (tmp_path / "a").write_bytes(b"something old and longer")
        await storage.get(f"{base}/a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"new"
        assert "a" in _in(tmp_path)
        assert not [name for name in _in(tmp_path) if "funnel" in name]

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_a_directory_is_listed_with_all_below_it(
        self, storage: Storage, base: str, slash: str
    ) -> None:
        files = {"dir/b": b"1", "dir/a/x": b"22", "dir/a/deep/y": b"", "dir2/z": b"3", "di": b"4"}
        await self.fill(storage, base, files)
        found = await storage.list_objects(f"{base}/dir{slash}")
        assert [(one.name, one.size_bytes) for one in found] == [
            ("a/deep/y", 0),
            ("a/x", 2),
            ("b", 1),
        ]
        assert [one.url for one in found] == [f"{base}/dir/{one.name}" for one in found]

    async def test_a_file_beside_a_longer_name_is_a_file(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"a/x": b"file", "a/xy": b"other"})
        assert await self.content(storage, f"{base}/a/x", tmp_path) == b"file"
        assert await self.listed(storage, f"{base}/a") == ["x", "xy"]

    async def test_many_files_are_listed(self, storage: Storage, base: str) -> None:
        wanted = [f"{number:04}" for number in range(self.many)]
        waiting = iter(wanted)

        async def put() -> None:
            for name in waiting:
                await storage.put(BytesIO(), f"{base}/many/{name}")

        await asyncio.gather(*(put() for _ in range(32)))
        assert await self.listed(storage, f"{base}/many") == wanted

    async def test_what_is_missing_is_said_to_be(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"dir/a": b""})
        for url in (f"{base}/none", f"{base}/dir/a/none", f"{base}/no/dir/a"):
            with pytest.raises(NotFound, match=r"none|no/dir"):
                await storage.stat(url)
            with pytest.raises(NotFound, match=r"none|no/dir"):
                await storage.get(url, tmp_path / "to")
        assert not (tmp_path / "to").exists()

    async def test_a_directory_that_is_not_there(self, storage: Storage, base: str) -> None:
        if not self.has_directories:
            assert await storage.list_objects(f"{base}/none") == []
            return
        with pytest.raises(NotFound, match="none"):
            await storage.list_objects(f"{base}/none")

    async def test_a_url_of_nothing_is_refused(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        scheme, separator, _ = base.partition("://")
        bare = f"{scheme}{separator}" if separator else "/"
        with pytest.raises((Invalid, Denied)):
            await storage.put(BytesIO(), bare)
        with pytest.raises((Invalid, Denied)):
            await storage.get(bare, tmp_path / "to")
        assert not storage.takes("unheard-of://host/a")
        assert storage.takes(f"{base}/a")

    async def test_many_at_once_do_not_meet(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        async def one(number: int) -> None:
            content = str(number).encode() * 1000
            await storage.put(BytesIO(content), f"{base}/{number}")
            await storage.get(f"{base}/{number}", tmp_path / str(number))
            assert (tmp_path / str(number)).read_bytes() == content

        await asyncio.gather(*(one(number) for number in range(50)))

    async def test_one_name_at_once_holds_one_of_them(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        contents = [bytes([number]) * 100_000 for number in range(20)]
        await asyncio.gather(*(storage.put(BytesIO(one), f"{base}/a") for one in contents))
        assert await self.content(storage, f"{base}/a", tmp_path) in contents
        assert await self.listed(storage, base) == ["a"]

    async def test_what_is_there_stays_where_nothing_is_to_be_replaced(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        if not self.conditional:
            with pytest.raises(Invalid, match="only where there is none"):
                await storage.put(BytesIO(b"new"), f"{base}/a", overwrite=False)
            return
        stored = await storage.put(BytesIO(b"old"), f"{base}/a", overwrite=False)
        assert (stored.url, stored.size_bytes) == (f"{base}/a", 3)
        for content in (b"new", bytes(LARGE)):
            with pytest.raises(Exists, match="/a"):
                await storage.put(BytesIO(content), f"{base}/a", overwrite=False)
        assert await self.content(storage, f"{base}/a", tmp_path) == b"old"
        assert await self.listed(storage, base) == ["a"]

    @pytest.mark.parametrize(("size", "count"), [(100_000, 10), (2 * PIECE + 1, 2)])
    async def test_of_many_that_are_to_replace_nothing_one_is_stored(
        self, storage: Storage, base: str, tmp_path: Path, size: int, count: int
    ) -> None:
        if not (self.conditional and self.decides):
            return
        contents = [bytes([number]) * size for number in range(count)]
        answers = await asyncio.gather(
            *(storage.put(BytesIO(one), f"{base}/a", overwrite=False) for one in contents),
            return_exceptions=True,
        )
        stored = [one for one in answers if not isinstance(one, Exists)]
        assert [type(one).__name__ for one in stored] == ["Object"]
        winner = contents[answers.index(stored[0])]
        assert await self.content(storage, f"{base}/a", tmp_path) == winner
        assert await self.listed(storage, base) == ["a"]

    async def test_of_a_file_that_cannot_be_read_nothing_is_stored(
        self, storage: Storage, base: str
    ) -> None:
        await self.fill(storage, base, {"old": b"x"})
        for name in ("new", "old"):
            with pytest.raises((FunnelError, OSError)):
                await storage.put(Failing(b"half of it"), f"{base}/{name}")
        assert [(one.name, one.size_bytes) for one in await storage.list_objects(base)] == [
            ("old", 1)
        ]

    async def test_a_name_that_climbs_leads_nowhere_else(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        with suppress(Invalid, Denied):
            await storage.put(BytesIO(b"x"), f"{base}/dir/a/../../../climbed")
        to = tmp_path / "to" / "dir"
        for url in (f"{base}/dir/", f"{base}/dir/a/../"):
            with suppress(FunnelError):
                await storage.get(url, to)
        assert not [one for one in (tmp_path / "to").rglob("climbed") if to not in one.parents]
        assert not (tmp_path / "climbed").exists()

    async def test_of_a_download_that_is_cancelled_nothing_stays(
        self, storage: Storage, base: str, tmp_path: Path
    ) -> None:
        with TemporaryFile() as file:
            file.truncate(LARGE)
            await storage.put(file, f"{base}/a")
        share, to = Hearing(), tmp_path / "to"
        to.mkdir()
        getting = asyncio.create_task(storage.get(f"{base}/a", to / "a", share))
        hearing = asyncio.create_task(share.heard.wait())
        await asyncio.wait([getting, hearing], return_when=asyncio.FIRST_COMPLETED)
        getting.cancel()
        hearing.cancel()
        await asyncio.wait([getting, hearing])
        if getting.cancelled():
            assert _in(to) == []
        else:
            assert (await getting).size_bytes == (to / "a").stat().st_size == LARGE

    async def test_of_a_cancelled_call_nothing_is_stored(self, storage: Storage, base: str) -> None:
        await self.fill(storage, base, {"old": b"x"})
        loop, started = asyncio.get_running_loop(), asyncio.Event()
        source = Endless(lambda: loop.call_soon_threadsafe(started.set))
        putting = asyncio.create_task(storage.put(source, f"{base}/new"))
        await started.wait()
        putting.cancel()
        await asyncio.wait([putting])
        source.end = True
        assert putting.cancelled()
        assert await self.listed(storage, base) == ["old"]


class RemoteStorageSuite(StorageSuite):
    """
    For stores that ask who is there. Give these fixtures as well.

    `stranger` is the storage with wrong credentials, `reader` with those of somebody who may read
    what is below `base`, and not write; `nowhere` is a URL below a bucket, container or host
    directory that is not there.
    """

    async def test_who_is_not_known_is_denied(
        self, storage: Storage, stranger: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"a": b"x", "dir/b": b"y"})
        for url in (f"{base}/a", f"{base}/dir", f"{base}/none"):
            with pytest.raises(Denied):
                await stranger.get(url, tmp_path / "to")
            with pytest.raises(Denied):
                await stranger.stat(url)
            with pytest.raises(Denied):
                await stranger.list_objects(url)
            with pytest.raises(Denied):
                await stranger.put(BytesIO(b"z"), url)
        assert not (tmp_path / "to").exists()
        assert await self.content(storage, f"{base}/a", tmp_path) == b"x"

    async def test_who_may_read_only_cannot_write(
        self, storage: Storage, reader: Storage, base: str, tmp_path: Path
    ) -> None:
        await self.fill(storage, base, {"a": b"x"})
        assert await self.content(reader, f"{base}/a", tmp_path) == b"x"
        for url in (f"{base}/a", f"{base}/new"):
            with pytest.raises(Denied):
                await reader.put(BytesIO(b"y"), url)
            with pytest.raises(Denied):
                await reader.put(BytesIO(bytes(LARGE)), url)
        assert await self.listed(storage, base) == ["a"]
        assert await self.content(storage, f"{base}/a", tmp_path) == b"x"

    async def test_nothing_is_below_what_is_not_there(
        self, storage: Storage, nowhere: str, tmp_path: Path
    ) -> None:
        for url in (f"{nowhere}/a", f"{nowhere}/dir/"):
            with pytest.raises(NotFound):
                await storage.get(url, tmp_path / "to")
            with pytest.raises(NotFound):
                await storage.stat(url)
        with pytest.raises(NotFound):
            await storage.list_objects(f"{nowhere}/dir")
        assert not (tmp_path / "to").exists()


def _in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


class Hearing(Unlimited):
    """A share without limits that says when something has come."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def moved(self, count: int) -> None:
        if count:
            self.heard.set()


class Failing(BytesIO):
    """A file of which only the first part can be read."""

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        if size and size > 0 and (piece := super().read(size)):
            return piece
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class Endless(BytesIO):
    """A file that ends when it is told to."""

    def __init__(self, begun: Callable[[], object]) -> None:
        super().__init__()
        self.end = False
        self._begun = begun

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        self._begun()
        return b"" if self.end else bytes(size if size and size > 0 else 1 << 20)
