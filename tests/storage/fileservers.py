"""What every server with directories must do, whatever protocol it speaks."""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from files import HOST, Hearing, cut, opened, there
from listening import until
from proxy import Line, Proxy

from funnel.core.error import FunnelError, Invalid, NotFound, Unavailable
from funnel.ports import Storage, Sweeper
from funnel.storage.content import FileContent
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.unfinished import beside
from funnel.testing.storage import StorageSuite

DAY = timedelta(days=1)
ONCE = Patience(tries=1)
OLD = ".funnel-0123456789abcdef.part"
YOUNG = ".funnel-123456789abcdef0.part"
NOT_OURS = (
    *(".funnel-0123456789abcdef.parts", ".funnel-0123456789ABCDEF.part", ".funnel-.part"),
    *("0123456789abcdef.part", "a.funnel-0123456789abcdef.part", ".funnel-0123456789abcde.part"),
)


class FileServerSuite(StorageSuite):
    """
    Needs these fixtures as well: `files` is what `base` leads to, on this machine, and `settings`
    are those of `plugin`. `far` is the storage through `line`, and `base` there; `config`, what
    settings the program is given.
    """

    plugin: str
    library: str
    modules: tuple[str, ...]
    refusal = "is neither a file nor a directory"
    """What is said of a pipe."""
    tells_times = True
    """Whether the server says how old a file is."""

    async def test_a_directory_is_not_replaced_by_a_file(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        await storage.put(BytesIO(b"x"), f"{base}/dir/a")
        with pytest.raises(FunnelError, match=f"{base}/dir: "):
            await storage.put(BytesIO(b"x"), f"{base}/dir")
        with pytest.raises(Invalid, match="directory"):
            await storage.put(BytesIO(b"x"), f"{base}/dir/")
        with pytest.raises(FunnelError, match="cannot store it"):
            await storage.put(BytesIO(b"x"), f"{base}/dir/a/b")
        assert there(files) == ["dir/a"]

    async def test_directories_are_there_without_files(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        (files / "empty").mkdir()
        assert (await storage.stat(f"{base}/empty")).size_bytes == 0
        assert await storage.list_objects(f"{base}/empty") == []
        (files / "a").write_bytes(b"x")
        with pytest.raises(NotFound, match="/a/"):
            await storage.stat(f"{base}/a/")

    async def test_a_pipe_is_refused_at_once(
        self, storage: Storage, base: str, files: Path, tmp_path: Path
    ) -> None:
        """Whoever opens it waits until somebody writes, and with some servers all wait."""
        os.mkfifo(files / "pipe", 0o644)
        (files / "link").symlink_to("pipe")
        for name in ("pipe", "link"):
            async with asyncio.timeout(5):
                with pytest.raises(FunnelError, match=rf"{base}/{name}.*{self.refusal}"):
                    await storage.get(f"{base}/{name}", tmp_path / "to")
        assert not (tmp_path / "to").exists()
        await storage.put(BytesIO(b"x"), f"{base}/a")
        await storage.get(f"{base}/a", tmp_path / "to")

    async def test_an_upload_that_breaks_off_is_done_again_and_leaves_nothing(
        self, far: tuple[Storage, str], line: Proxy, files: Path
    ) -> None:
        content = os.urandom(32 << 20)
        share = Hearing(16 << 20, lambda: cut(line))
        storage, base = far
        await storage.put(BytesIO(content), f"{base}/a", share)
        assert share.called
        assert (files / "a").read_bytes() == content
        assert there(files) == ["a"]

    async def test_a_cancelled_upload_leaves_nothing(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        await cancelled(storage, f"{base}/deep/a", files)

    async def test_connections_are_used_again(
        self, far: tuple[RemoteStorage, str], line: Proxy, files: Path
    ) -> None:
        (files / "a").write_bytes(b"x")
        storage, base = far
        store = storage.store
        for _ in range(3):
            await store.stat(f"{base}/a")
            with pytest.raises(NotFound):
                await store.stat(f"{base}/none")
            async with store.read(f"{base}/a", 0, None, "") as reading:
                await anext(aiter(reading.pieces))
        assert line.connections == 1
        cut(line)
        with suppress(Unavailable):
            await store.stat(f"{base}/a")
        assert (await store.stat(f"{base}/a")).size_bytes == 1
        assert line.connections == 2

    async def test_a_server_that_is_away_or_silent_is_given_up(
        self, far_and_short: tuple[RemoteStorage, str], line: Proxy
    ) -> None:
        storage, base = far_and_short
        for kind in (Line.RESET, Line.HOLE):
            line.become(kind)
            with pytest.raises(Unavailable, match=r"log in|let us in"):
                await storage.store.stat(f"{base}/a")

    async def test_where_nobody_lets_us_in_there_is_nothing_to_take_back(
        self,
        far_and_short: tuple[RemoteStorage, str],
        line: Proxy,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        storage, base = far_and_short
        line.become(Line.RESET)
        content = FileContent(BytesIO(b"x"), f"{base}/a", lambda _: None)
        with pytest.raises(Unavailable, match=r"log in|let us in"):
            await storage.store.write(f"{base}/a", content)
        assert line.connections == 1
        assert "removed" not in caplog.text

    async def test_of_what_a_killed_program_left_only_that_which_is_old_is_swept(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        (files / "dir").mkdir()
        (files / f"dir/{OLD.replace('0', 'f')}").mkdir()
        for name in (OLD, f"dir/{OLD}", "dir/a", *NOT_OURS):
            (files / name).write_bytes(b"half")
            _grow_old(files / name, 2 * DAY)
        for name in (YOUNG, f"dir/{YOUNG}"):
            (files / name).write_bytes(b"half")
            _grow_old(files / name, DAY / 2)
        _own(files)
        swept = [OLD, f"dir/{OLD}"] if self.tells_times else []
        before = {*there(files)}
        assert isinstance(storage, Sweeper)
        assert await storage.sweep(f"{base}/", DAY) == len(swept)
        assert {*there(files)} == before - {*swept}
        assert await storage.sweep(f"{base}/", timedelta(0)) == 4 - len(swept)
        assert {*there(files)} == {"dir/a", *NOT_OURS}

    async def test_what_uploads_to_one_name_left_is_swept_by_that_name(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        names = [beside("/a")[1:], beside("/a")[1:], beside("/b")[1:], beside("dir/a")]
        (files / "dir").mkdir()
        for name in names:
            (files / name).write_bytes(b"half")
        _own(files)
        assert isinstance(storage, Sweeper)
        assert await storage.sweep(f"{base}/a", timedelta(0)) == 2
        assert {*there(files)} == {*names[2:]}
        with pytest.raises(NotFound):
            await storage.sweep(f"{base}/none/", timedelta(0))

    async def test_a_large_upload_removes_what_an_old_one_to_its_name_left(
        self, storage: Storage, base: str, files: Path
    ) -> None:
        stale, young, other = beside("/a")[1:], beside("/a")[1:], beside("/b")[1:]
        for name in (stale, young, other):
            (files / name).write_bytes(b"half")
            _grow_old(files / name, DAY / 2 if name == young else 2 * DAY)
        _own(files)
        with TemporaryFile() as file:
            file.truncate((16 << 20) + 1)
            await storage.put(file, f"{base}/a")
        swept = {stale} if self.tells_times else set[str]()
        assert {*there(files)} == {"a", stale, young, other} - swept

    async def test_what_a_killed_command_left_is_swept_by_another(
        self, base: str, files: Path, config: str, tmp_path: Path
    ) -> None:
        (tmp_path / "config.yml").write_text(config)
        with (tmp_path / "large").open("wb") as file:
            file.truncate(2 << 30)
        command = [sys.executable, "-m", "funnel", "storage"]
        where = f"{base}/a", "-c", str(tmp_path / "config.yml")
        putting = await asyncio.create_subprocess_exec(
            *command, "put", str(tmp_path / "large"), *where, "--quiet"
        )
        await until(lambda: there(files))
        putting.send_signal(signal.SIGKILL)
        await putting.wait()
        left = there(files)
        assert len(left) == 1
        assert left[0].endswith(".part")
        sweeping = await asyncio.create_subprocess_exec(*command, "sweep", *where, "--age", "0s")
        assert await sweeping.wait() == 0
        assert there(files) == []

    async def test_a_missing_library_is_named_with_its_extra(
        self, base: str, settings: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in self.modules:
            monkeypatch.delitem(sys.modules, f"funnel.storage.{self.plugin}.{module}")
        monkeypatch.setitem(sys.modules, self.library, None)
        async with opened(self.plugin, settings) as storage:
            with pytest.raises(FunnelError, match=rf"pip install 'funnel-tes\[{self.plugin}\]'"):
                await storage.stat(f"{base}/a")


def _grow_old(file: Path, age: timedelta) -> None:
    moment = (HOST.now() - age).timestamp()
    os.utime(file, (moment, moment))


def _own(files: Path) -> None:
    """Whoever has a directory has what is in it."""
    for one in files.rglob("*"):
        shutil.chown(one, files.owner(), files.group())


async def cancelled(storage: Storage, url: str, files: Path) -> None:
    """An upload, of which nothing is to stay."""
    begun = asyncio.Event()
    content = BytesIO(bytes(64 << 20))
    putting = asyncio.create_task(storage.put(content, url, Hearing(8 << 20, begun.set)))
    await begun.wait()
    assert len(there(files)) == 1
    putting.cancel()
    await asyncio.wait([putting])
    assert putting.cancelled()
    assert there(files) == []
