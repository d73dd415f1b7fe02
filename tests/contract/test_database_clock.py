"""What becomes of what the database keeps for a time, when clocks jump."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database.clock import DAY, DatabaseClock
from funnel.database.sqlite import PLUGIN, Settings, SqliteDatabase
from funnel.plugins import Host
from funnel.testing.build import EPOCH, EVERYONE, MINUTE, batch, created, moved

YEAR = timedelta(days=365)
MONTH = timedelta(days=30)


class Wall:
    """A clock that anybody may set."""

    def __init__(self) -> None:
        self.time = EPOCH

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


@asynccontextmanager
async def run(folder: Path, wall: Wall) -> AsyncGenerator[SqliteDatabase]:
    host = Host(now=wall.now, deployment="test")
    async with PLUGIN.make(Settings(path=str(folder / "funnel.db")), host) as database:
        yield database


async def make(database: SqliteDatabase) -> TaskId:
    task_id = await database.create(created())
    await database.append(batch(moved(task_id, State.COMPLETE)))
    return task_id


async def deleted(database: SqliteDatabase, keep: timedelta) -> int:
    return await database.delete_ended(keep, limit=100)


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_jump_while_it_is_open_deletes_nothing(
    tmp_path: Path, wall: Wall, jump: timedelta
) -> None:
    async with run(tmp_path, wall) as database:
        await make(database)
        wall.time += jump
        assert await deleted(database, MINUTE) == 0


async def test_a_start_with_the_clock_a_year_ahead_deletes_nothing_at_once(
    tmp_path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(tmp_path, wall) as database:
        await make(database)
    assert not caplog.records
    wall.time += YEAR
    async with run(tmp_path, wall) as database:
        assert await deleted(database, MINUTE) == 0
        # What does not ask for the clock is as ever.
        assert await deleted(database, -MINUTE) == 1
    assert "nothing has ended for 365 days" in caplog.text


async def test_what_ended_with_the_clock_ahead_is_kept_longer_and_nothing_shorter(
    tmp_path: Path, wall: Wall
) -> None:
    wall.time += YEAR
    async with run(tmp_path, wall) as database:
        ahead = await make(database)
    wall.time -= YEAR
    async with run(tmp_path, wall) as database:
        await make(database)
        assert await deleted(database, MINUTE) == 0
        wall.time += YEAR + MONTH
        assert await deleted(database, MONTH / 2) == 0
        assert (await database.get(ahead, View.MINIMAL, EVERYONE)).state is State.COMPLETE


async def test_a_key_is_kept_though_the_clock_is_set_back(tmp_path: Path, wall: Wall) -> None:
    new = created()
    async with run(tmp_path, wall) as database:
        await database.create(new, key="k")
        for jump in (YEAR, -2 * YEAR):
            wall.time += jump
            assert await database.create(created(), key="k") == new.task_id
    async with run(tmp_path, wall) as database:
        assert await database.create(created(), key="k") == new.task_id


def test_a_long_pause_is_believed_when_a_day_has_passed() -> None:
    ticks = 0.0
    clock = DatabaseClock(lambda: 100 * DAY + ticks, 90 * DAY, ticks=lambda: ticks)
    assert (clock.now(), clock.cautious()) == (100 * DAY, 90 * DAY)
    ticks = DAY - 1
    assert (clock.now(), clock.cautious()) == (101 * DAY - 1, 91 * DAY - 1)
    ticks = DAY
    assert (clock.now(), clock.cautious()) == (101 * DAY, 101 * DAY)


def test_a_short_pause_and_a_first_start_are_believed_at_once() -> None:
    assert DatabaseClock(lambda: 91 * DAY, 90 * DAY, ticks=lambda: 0).cautious() == 91 * DAY
    assert DatabaseClock(lambda: 91 * DAY, 0.0, ticks=lambda: 0).cautious() == 91 * DAY
