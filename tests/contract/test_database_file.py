"""The file of the SQLite adapter: private, held by one, and with a schema that moves forward."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from funnel.core.error import Conflict, Unavailable
from funnel.core.event import Requeued
from funnel.core.query import Query, View
from funnel.core.state import State
from funnel.core.work import Claim, Submit
from funnel.database import changes
from funnel.database.opening import connect, held, make_private, migrate
from funnel.database.sql import migrations
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, EVERYONE, MINUTE, accepted, batch, created, moved, printed

HOST = Host(now=lambda: EPOCH, deployment="test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "funnel.db"


@pytest.fixture
def at(path: Path) -> Settings:
    return Settings(path=str(path))


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir()
    make_private(path)
    db = connect(path, writes=True)
    yield db
    db.close()


async def test_what_was_answered_is_there_after_reopening(at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        task_id = await database.create(created(name="kept"))
    async with PLUGIN.make(at, HOST) as database:
        assert (await database.get(task_id, View.BASIC, EVERYONE)).name == "kept"


async def test_only_the_owner_may_read_any_of_its_files(path: Path, at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        await database.create(created())
        files = [*path.parent.iterdir()]
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in files}
    ends = ("", "-wal", "-shm", ".lock", ".reserve")
    assert modes == {f"funnel.db{end}": 0o600 for end in ends}


def test_a_file_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "funnel.db"
    path.touch(mode=0o644)
    make_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_second_server_on_one_file_is_refused(path: Path, at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        with pytest.raises(Unavailable, match=f"{path} is in use by another server"):
            async with PLUGIN.make(at, HOST):
                pass
        await database.create(created())
    async with PLUGIN.make(at, HOST):
        pass


async def test_work_of_a_server_that_died_is_due_at_once(at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        await database.create(created())
        (mine,) = await database.claim("local", limit=9, lease=MINUTE)
    async with PLUGIN.make(at, HOST) as database:
        (again,) = await database.claim("local", limit=9, lease=MINUTE)
    assert again == mine


async def test_a_pause_goes_on_over_a_restart_and_no_longer_than_itself(at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        short, long = await database.create(created()), await database.create(created())
        await database.claim("local", limit=9, lease=MINUTE)
        await database.append(batch(Requeued(short, EPOCH, "away", 0.5)))
        await database.append(batch(Requeued(long, EPOCH, "away", 600.0)))
        new = {Submit(short, 2, 0.5), Submit(long, 2, 600.0)}
    earlier = Host(now=lambda: EPOCH - 9 * MINUTE, deployment="test")
    async with PLUGIN.make(at, earlier) as database:
        due: list[Claim] = []
        while not any(one.work in new for one in due):
            due = [*await database.claim("local", limit=9, lease=MINUTE)]
            await asyncio.sleep(0.02)
        assert {one.work for one in due} & new == {Submit(short, 2, 0.5)}


async def test_what_is_asked_after_the_end_is_refused(at: Settings) -> None:
    async with PLUGIN.make(at, HOST) as database:
        pass
    with pytest.raises(Unavailable, match="the database is closed"):
        await database.create(created())


async def test_what_waits_at_the_end_is_kept(at: Settings) -> None:
    new = created()
    async with PLUGIN.make(at, HOST) as database:
        creating = asyncio.ensure_future(database.create(new))
        await asyncio.sleep(0)
    assert await creating == new.task_id


async def test_a_file_that_is_no_database_is_refused(path: Path, at: Settings) -> None:
    await asyncio.to_thread(_write_text, path)
    with pytest.raises(Unavailable, match=f"{path} cannot be used: file is not a database"):
        async with PLUGIN.make(at, HOST):
            pass


def _write_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("name: hello\n" * 100)


async def test_what_cannot_be_read_is_unavailable(at: Settings, path: Path) -> None:
    async with PLUGIN.make(at, HOST) as database:
        task_id = await database.create(created())
        _lose_tags(path)
        await database.get(task_id, View.FULL, EVERYONE)
        with pytest.raises(Unavailable, match="cannot be read: no such table: tag"):
            await database.list_tasks(Query(scope=EVERYONE, tags=(("a", "b"),)))


def _lose_tags(path: Path) -> None:
    with closing(connect(path, writes=True)) as db:
        db.execute("DROP TABLE tag")


async def test_a_database_of_another_program_is_refused(
    path: Path, db: sqlite3.Connection, at: Settings
) -> None:
    db.execute("CREATE TABLE song (title TEXT)")
    with pytest.raises(Unavailable, match=f"{path} holds tables of some other program"):
        async with PLUGIN.make(at, HOST):
            pass


async def test_a_newer_schema_is_refused(path: Path, db: sqlite3.Connection, at: Settings) -> None:
    db.execute("PRAGMA user_version = 99")
    with pytest.raises(
        Unavailable, match=f"{path} has schema 99, .* none above {len(migrations())}"
    ):
        async with PLUGIN.make(at, HOST):
            pass


def test_an_older_schema_moves_forward_and_keeps_its_rows(
    path: Path, db: sqlite3.Connection
) -> None:
    first, second = "CREATE TABLE a (x);", "INSERT INTO a VALUES (7); ALTER TABLE a RENAME x TO y;"
    migrate(db, path, [first])
    migrate(db, path, [first, second])
    migrate(db, path, [first, second])
    assert db.execute("SELECT y FROM a").fetchall() == [(7,)]
    assert db.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_step_that_fails_leaves_the_schema_before_it(path: Path, db: sqlite3.Connection) -> None:
    first = "CREATE TABLE a (x);"
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        migrate(db, path, [first, "CREATE TABLE b (y); INSERT INTO nowhere VALUES (1);"])
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]


def test_a_file_is_held_until_it_is_let_go(path: Path) -> None:
    with held(path), pytest.raises(Unavailable), held(path):
        pass
    with held(path):
        pass


def test_a_place_where_no_file_can_be_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = "cannot be made there: .*; choose another SQLite.Path"
    with pytest.raises(Unavailable, match=words), held(tmp_path / "file" / "funnel.db"):
        pass


@pytest.fixture
def ours(path: Path, db: sqlite3.Connection) -> sqlite3.Connection:
    migrate(db, path, migrations())
    return db


def test_a_task_that_ended_is_frozen_by_the_schema_too(ours: sqlite3.Connection) -> None:
    new = created()
    changes.create(ours, changes.New(created=new, notes=(), key=""), 0.0)
    changes.append(ours, batch(moved(new.task_id, State.COMPLETE)), 0.0)
    with pytest.raises(sqlite3.IntegrityError, match="has ended"):
        ours.execute("UPDATE task SET state = 'RUNNING'")


def test_counts_follow_a_deleted_task(ours: sqlite3.Connection) -> None:
    changes.create(ours, changes.New(created=created(), notes=(), key=""), 0.0)
    ours.execute("DELETE FROM task")
    assert ours.execute(changes.SQL["counts"]).fetchall() == []


def test_a_key_is_forgotten_after_a_week(ours: sqlite3.Connection) -> None:
    def create(new: changes.New, now: float) -> str:
        return changes.create(ours, new, now)

    one, two = (changes.New(created=created(name=name), notes=(), key="k") for name in "ab")
    assert create(one, 0.0) == one.created.task_id
    with pytest.raises(Conflict):
        create(two, changes.KEYS_KEPT - 1)
    assert create(two, changes.KEYS_KEPT + 1) == two.created.task_id
    assert ours.execute("SELECT count(*) FROM idempotency").fetchone() == (1,)


def test_no_more_output_is_kept_than_was_asked_for(ours: sqlite3.Connection) -> None:
    new = created()
    changes.create(ours, changes.New(created=new, notes=(), key=""), 0.0)
    for n in range(200):
        piece = printed(new.task_id, "x" * 10, start=10 * n, keep=50)
        changes.append(ours, batch(piece), 0.0)
    assert ours.execute("SELECT count(*), sum(length(text)) FROM output").fetchone() == (5, 50)
    assert ours.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_the_end_makes_one_piece_of_what_each_stream_has(ours: sqlite3.Connection) -> None:
    new = created()
    changes.create(ours, changes.New(created=new, notes=(), key=""), 0.0)
    for start, index in product((0, 10, 20), (0, 1)):
        piece = printed(new.task_id, f"{start:10}", start=start, index=index, keep=25)
        changes.append(ours, batch(piece), 0.0)
    changes.append(ours, batch(moved(new.task_id, State.COMPLETE)), 0.0)
    rows = ours.execute("SELECT executor, start, stop, text FROM output").fetchall()
    text = "".join(f"{start:10}" for start in (0, 10, 20))[-25:]
    assert rows == [(0, 5, 30, text), (1, 5, 30, text)]


def test_what_a_later_version_adds_is_skipped(ours: sqlite3.Connection) -> None:
    new = created()
    changes.create(ours, changes.New(created=new, notes=(), key=""), 0.0)
    changes.append(ours, batch(accepted(new.task_id)), 0.0)
    ours.execute("UPDATE task SET progress = json_insert(progress, '$[#]', 'good')")
    _, progress = changes.find_progress(ours, new.task_id)
    assert progress.native_id == "job-1"


def test_tasks_that_ended_before_their_ends_were_kept_can_be_told_by_age(
    path: Path, db: sqlite3.Connection
) -> None:
    migrate(db, path, migrations()[:1])
    progress = '{"logs":[{"end_time":"2026-01-01T00:00:00Z"}]}'
    rows = (("a", "COMPLETE", progress), ("b", "CANCELED", "garbled"), ("c", "RUNNING", progress))
    for task_id, state, text in rows:
        row = (task_id, "", "local", state, 0, "", text)
        db.execute(
            "INSERT INTO task (id, owner, queue, state, active, name, progress)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    migrate(db, path, migrations())
    ended = dict(db.execute("SELECT id, ended FROM task").fetchall())
    assert ended["a"] == pytest.approx(EPOCH.timestamp(), abs=0.01)
    assert ended["b"] > ended["a"]
    assert ended["c"] is None
