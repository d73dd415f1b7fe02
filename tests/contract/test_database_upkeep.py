"""The file of the SQLite adapter gives back what it needs no more, and its disk is watched."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from funnel.core.error import NoSpace
from funnel.core.state import State
from funnel.database import space, upkeep
from funnel.database.space import MIB, Space
from funnel.database.sqlite import PLUGIN, Settings
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.build import NOTHING, batch, created, moved

HOST = Host(now=now, deployment="test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "funnel.db"


@pytest.fixture
async def database(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Database]:
    """One that looks after itself all the time."""
    monkeypatch.setattr(upkeep, "EVERY", 0.01)
    monkeypatch.setattr(upkeep, "IDLE", 3)
    monkeypatch.setattr(upkeep, "SPARE", 64)
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        yield database


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(happens):
            pass


async def test_what_is_deleted_leaves_the_file_and_the_log(path: Path, database: Database) -> None:
    log = path.with_name("funnel.db-wal")

    async def life() -> None:
        new = created(description="x" * 20_000)
        await database.create(new)
        await database.append(batch(moved(new.task_id, State.COMPLETE)))

    await asyncio.gather(*(life() for _ in range(400)))
    await until(lambda: log.stat().st_size == 0)
    full = (await asyncio.to_thread(path.stat)).st_size
    assert full > 8 * MIB
    assert await database.delete_ended(-NOTHING, limit=1000) == 400
    await until(lambda: path.stat().st_size < full // 10)
    await until(lambda: log.stat().st_size == 0)
    kept = await database.create(created())
    assert (await database.progress(kept)).state is State.QUEUED


class Disk:
    """What a look at the disk says."""

    def __init__(self) -> None:
        self.free, self.total = 1000 * MIB, 10_000 * MIB

    def statvfs(self, _path: object) -> os.statvfs_result:
        return os.statvfs_result(
            (MIB, MIB, self.total // MIB, 0, self.free // MIB, 0, 0, 0, 0, 255)
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    one = Disk()
    monkeypatch.setattr("funnel.database.space.os.statvfs", one.statvfs)
    return one


def test_new_tasks_are_refused_while_there_is_too_little(disk: Disk, path: Path) -> None:
    watched = Space(path, 64 * MIB)
    watched.prepare()
    assert not watched.shortage
    disk.free = 63 * MIB
    watched.glance()
    assert watched.shortage.startswith(
        "the disk of the database has 63.0 MiB left, and 64.0 MiB are wanted; free some space"
    )
    disk.free = 64 * MIB
    watched.look()
    assert not watched.shortage


def test_a_reserve_that_was_given_up_comes_back_before_new_tasks_do(disk: Disk, path: Path) -> None:
    watched, reserve = Space(path, 64 * MIB), path.with_name("funnel.db.reserve")
    watched.prepare()
    assert reserve.stat().st_size == space.RESERVE
    assert watched.give_up()
    assert not watched.give_up()
    assert not reserve.exists()
    disk.free = 64 * MIB + space.RESERVE - MIB
    watched.look()
    assert watched.shortage
    disk.free += MIB
    watched.look()
    assert not watched.shortage
    assert reserve.stat().st_size == space.RESERVE
    watched.close()
    assert not reserve.exists()


def test_of_a_small_disk_a_sixteenth_is_kept_free(disk: Disk, path: Path) -> None:
    disk.total = 160 * MIB
    watched = Space(path, 64 * MIB)
    disk.free = 10 * MIB
    watched.prepare()
    assert watched.shortage
    disk.free = 15 * MIB
    watched.look()
    assert not watched.shortage
    assert path.with_name("funnel.db.reserve").stat().st_size == 5 * MIB


def test_a_disk_that_is_full_at_the_start_gets_the_reserve(disk: Disk, path: Path) -> None:
    reserve = path.with_name("funnel.db.reserve")
    reserve.touch()
    disk.free = 0
    watched = Space(path, 64 * MIB)
    watched.prepare()
    assert not reserve.exists()
    assert watched.shortage


def test_where_no_reserve_can_be_made_there_is_none(
    disk: Disk, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_file: int, _offset: int, _size: int) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("funnel.database.space.os.posix_fallocate", refuse)
    watched = Space(path, 64 * MIB)
    watched.prepare()
    watched.look()
    assert not watched.shortage
    assert [*path.parent.iterdir()] == []
    assert caplog.text.count("there is no reserve for a full disk: not supported") == 1
    disk.free = 0
    watched.look()
    assert watched.shortage


def test_without_a_minimum_nothing_is_refused_or_reserved(disk: Disk, path: Path) -> None:
    disk.free = 0
    watched = Space(path, 0)
    watched.prepare()
    watched.glance()
    assert not watched.shortage
    assert [*path.parent.iterdir()] == []


async def created_without_end(database: Database) -> None:
    async with asyncio.timeout(30):
        while True:
            await database.create(created())


async def test_creates_are_refused_and_ends_kept_while_there_is_too_little(
    database: Database, disk: Disk
) -> None:
    new = created()
    await database.create(new)
    disk.free = MIB
    with pytest.raises(NoSpace, match="free some space"):
        await created_without_end(database)
    ended = await database.append(batch(moved(new.task_id, State.COMPLETE)))
    assert ended.state is State.COMPLETE
    disk.free = 1000 * MIB
    async with asyncio.timeout(30):
        while True:
            try:
                await database.create(created())
                break
            except NoSpace:
                await asyncio.sleep(0.01)
