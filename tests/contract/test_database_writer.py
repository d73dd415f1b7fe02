"""Group commit, against real SQLite: what shares a commit, what is refused, and what breaks."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import uvloop

from funnel.core.error import Busy, NoSpace, NotFound, Unavailable
from funnel.database.space import Space
from funnel.database.writer import Writer
from funnel.metrics import Metrics


@pytest.fixture
async def db(tmp_path: Path) -> AsyncGenerator[sqlite3.Connection]:
    db = sqlite3.connect(tmp_path / "n.db", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute(
        "CREATE TABLE n (n INTEGER UNIQUE, m REFERENCES n (n) DEFERRABLE INITIALLY DEFERRED, t)"
    )
    yield db
    db.close()


@pytest.fixture
async def writer(db: sqlite3.Connection, tmp_path: Path) -> AsyncGenerator[Writer]:
    space = Space(tmp_path / "n.db", 0)
    writer = Writer(db, lambda: 0.0, metrics=Metrics(), space=space, room=40)
    yield writer
    await writer.close()


def insert(db: sqlite3.Connection, now: float) -> int:
    del now
    return db.execute("INSERT INTO n (n) SELECT coalesce(max(n), 0) + 1 FROM n").rowcount


def count(db: sqlite3.Connection, now: float) -> int:
    del now
    return int(db.execute("SELECT count(*) FROM n").fetchone()[0])


async def insert_into(writer: Writer, *, urgent: bool = True) -> int:
    return await writer.do(insert, urgent=urgent)


async def test_calls_share_a_commit(writer: Writer) -> None:
    assert await asyncio.gather(*(insert_into(writer) for _ in range(30))) == [1] * 30
    assert writer.commits == 1


async def test_who_is_patient_shares_the_commit_of_who_is_not(writer: Writer) -> None:
    first = asyncio.create_task(insert_into(writer))
    await asyncio.sleep(0)
    patient = [asyncio.create_task(writer.do(insert, patience=3600)) for _ in range(3)]
    await first
    assert writer.commits == 1
    assert not any(one.done() for one in patient)
    await insert_into(writer)
    assert writer.commits == 2
    assert await asyncio.gather(*patient) == [1] * 3


def test_who_is_patient_need_not_wait_for_others(tmp_path: Path) -> None:
    """On the loop of the server, whose timers may be early by its clock."""

    async def alone() -> int:
        db = sqlite3.connect(tmp_path / "n.db", isolation_level=None, check_same_thread=False)
        db.execute("CREATE TABLE n (n INTEGER)")
        space = Space(tmp_path / "n.db", 0)
        writer = Writer(db, lambda: 0.0, metrics=Metrics(), space=space)
        async with asyncio.timeout(20):
            for _ in range(300):
                await writer.do(insert, patience=0.0013)
        found = await writer.do(count)
        await writer.close()
        db.close()
        return found

    assert uvloop.run(alone()) == 300


async def test_one_broken_change_breaks_alone(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(db: sqlite3.Connection, now: float) -> None:
        insert(db, now)
        db.execute("INSERT INTO n (n) SELECT 1 FROM nowhere")

    def late(db: sqlite3.Connection, now: float) -> None:
        insert(db, now)
        raise NotFound

    answers = await asyncio.gather(
        insert_into(writer), writer.do(broken), writer.do(late), return_exceptions=True
    )
    assert [type(one) for one in answers] == [int, sqlite3.OperationalError, RuntimeError]
    assert await writer.do(count) == 1
    assert "a write failed" in caplog.text


async def test_a_commit_that_fails_keeps_nothing_of_the_culprit(writer: Writer) -> None:
    def orphan(db: sqlite3.Connection, now: float) -> None:
        del now
        db.execute("INSERT INTO n (n, m) VALUES (99, 98)")

    answers = await asyncio.gather(insert_into(writer), writer.do(orphan), return_exceptions=True)
    assert [type(one) for one in answers] == [int, sqlite3.IntegrityError]
    assert await writer.do(count) == 1


async def test_too_many_calls_are_turned_away(writer: Writer) -> None:
    answers = await asyncio.gather(
        *(insert_into(writer) for _ in range(45)), return_exceptions=True
    )
    assert [type(one) for one in answers] == [int] * 40 + [Busy] * 5


async def test_what_is_not_urgent_is_turned_away_first(writer: Writer) -> None:
    answers = await asyncio.gather(
        *(insert_into(writer, urgent=False) for _ in range(45)),
        *(insert_into(writer) for _ in range(15)),
        return_exceptions=True,
    )
    kinds = [type(one) for one in answers]
    assert kinds == [int] * 30 + [Busy] * 15 + [int] * 10 + [Busy] * 5


async def test_a_caller_who_left_disturbs_nobody(writer: Writer) -> None:
    gone = asyncio.ensure_future(insert_into(writer))
    await asyncio.sleep(0)
    gone.cancel()
    assert await insert_into(writer) == 1
    assert await writer.do(count) == 2


async def test_others_have_their_turn_during_a_large_commit(writer: Writer) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    writing = asyncio.gather(*(insert_into(writer) for _ in range(40)))
    counting = asyncio.ensure_future(other())
    await writing
    counting.cancel()
    assert writer.commits == 1
    assert turns > 2


async def test_where_there_is_no_space_what_fits_is_still_kept(
    db: sqlite3.Connection, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    def large(db: sqlite3.Connection, now: float) -> None:
        del now
        db.execute("INSERT INTO n (t) VALUES (zeroblob(1000000))")

    await insert_into(writer)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    answers = await asyncio.gather(
        insert_into(writer), writer.do(large), insert_into(writer), return_exceptions=True
    )
    assert [type(one) for one in answers] == [int, NoSpace, int]
    assert await writer.do(count) == 3
    assert "new tasks are refused, those that are there go on" in caplog.text


async def test_waiting_ends_with_the_next_commit(writer: Writer) -> None:
    seen = await writer.wait(-1, 0.0)
    waiting = asyncio.ensure_future(writer.wait(seen, 60.0))
    await insert_into(writer)
    assert await waiting == seen + 1
    await writer.do(count)
    assert await writer.wait(seen + 1, 0.0) == seen + 1


FILL_UNTIL_THE_DISK_FAILS = """
import asyncio, resource, sys
from pathlib import Path
from funnel.core.error import FunnelError
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, created

async def fill(database):
    try:
        while True:
            await database.create(created(description="x" * 10_000))
    except FunnelError as error:
        return type(error).__name__

async def main():
    settings, host = Settings(path=sys.argv[1]), Host(now=lambda: EPOCH, deployment="")
    async with PLUGIN.make(settings, host) as database:
        await database.create(created())
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        fillers = asyncio.gather(*(fill(database) for _ in range(8)))
        print(await database.broken())
        print(*set(await fillers), await fill(database))

asyncio.run(main())
"""


async def test_a_disk_that_fails_ends_all_writing(tmp_path: Path) -> None:
    path = tmp_path / "funnel.db"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FILL_UNTIL_THE_DISK_FAILS, str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, _ = await server.communicate()
    reason, kinds = out.decode().splitlines()
    assert reason.startswith("the database cannot write to its disk (disk I/O error)")
    assert kinds == f"{Unavailable.__name__} {Unavailable.__name__}"
