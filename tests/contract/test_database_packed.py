"""The stored form of events and progress gives back what was put in, and so do older rows."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import reduce
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace

from funnel.core.event import (
    Accepted,
    Change,
    Created,
    ExecutorExited,
    ExecutorStarted,
    Level,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    Printed,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.fold import Progress, apply, begin
from funnel.core.hiding import Secrets, without
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Input, OutputFileLog
from funnel.core.work import Submit
from funnel.database.folded import pack_progress, read_progress
from funnel.database.opening import connect, migrate
from funnel.database.packed import Whose, pack, pack_created, read
from funnel.database.secret import stored
from funnel.database.sql import migrations
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH, EVERYONE, MINUTE, batch, created, feed, moved, printed

NEW = created(name="n", tags={"a": "b"})
ID = NEW.task_id
WHOSE = Whose(ID, NEW.owner, NEW.queue)
AT = EPOCH + timedelta(days=400, microseconds=123_457)
FILE = OutputFileLog(url="file:///o", path="/o", size_bytes="7")
LIFE: Sequence[Change] = (
    Accepted(ID, AT, f"{ID}-1"),
    StateChanged(ID, AT + MINUTE, State.RUNNING),
    Logged(ID, AT, "plain"),
    printed(ID, "some words"),
    printed(ID, " more", start=10),
    Logged(ID, AT - MINUTE, "odd", Level.ERROR, {"a": "b"}, 1),
    MetadataAdded(ID, AT, {"c": "d"}),
    ExecutorStarted(ID, AT, 0),
    ExecutorExited(ID, AT + timedelta(microseconds=1), 0, 3),
    TimeTold(ID, AT - MINUTE, Moment.EXECUTOR_ENDED, 2),
    Requeued(ID, AT, "again", 2.5),
    OutputsStored(ID, AT, (FILE,)),
    printed(ID, "the end"),
)
KEPT = [(seq, one) for seq, one in enumerate(LIFE, 2) if not isinstance(one, Printed)]
OLD_EVENT = "INSERT INTO event (n, seq, body) VALUES (1, ?, ?)"
OLD_TASK = (
    "INSERT INTO task (n, id, owner, queue, state, active, name, progress)"
    " VALUES (1, :id, :owner, :queue, :state, 1, :name, :progress)"
)


def folded(life: Sequence[Change]) -> Progress:
    return reduce(apply, life, begin(NEW))


def test_a_batch_is_read_as_it_was_written() -> None:
    row = pack(2, LIFE)
    assert row
    assert (row.last, row.count) == (KEPT[-1][0], len(KEPT))
    assert read(WHOSE, row.last, row.body.encode()) == KEPT


def test_a_batch_of_output_is_no_row() -> None:
    assert pack(2, [printed(ID, "x")]) is None


def test_a_spec_is_read_as_it_was_written() -> None:
    row = pack_created(NEW)
    assert (row.last, row.count) == (1, 1)
    assert read(WHOSE, 1, row.body.encode()) == [(1, NEW)]


@pytest.mark.parametrize("count", range(len(LIFE) + 1))
def test_progress_is_read_as_it_was_written(count: int) -> None:
    progress = folded(LIFE[:count])
    assert read_progress(pack_progress(progress).encode()) == progress


@pytest.mark.parametrize(
    "name", ["", "job-1", f"{ID}-1", f"{ID}-01", f"{ID}-x", f"{ID}-", f"{ID}-0", f"{ID}-{'9' * 40}"]
)
def test_a_job_has_any_name(name: str) -> None:
    told = [Accepted(ID, AT, name)]
    row = pack(2, told)
    assert row
    assert read(WHOSE, 2, row.body.encode()) == [(2, told[0])]
    progress = folded(told)
    assert read_progress(pack_progress(progress).encode()) == progress


def test_short_rows_hold_neither_names_nor_the_task() -> None:
    row = pack(2, [Accepted(ID, EPOCH, f"{ID}-1"), StateChanged(ID, EPOCH + MINUTE, State.RUNNING)])
    assert row
    assert json.decode(row.body) == [1_767_225_600_000_000, [0, 0, 1], [1, 60_000_000, "RUNNING"]]


def as_before(path: Path, life: Sequence[Change]) -> None:
    """A task as programs wrote it that knew schema 4."""
    progress = folded(life)
    events: list[tuple[int, Created | Change]] = [(1, NEW), *enumerate(life, 2)]
    kept = [(seq, text(one)) for seq, one in events if not isinstance(one, Printed)]
    row = {"id": ID, "owner": NEW.owner, "queue": NEW.queue, "name": NEW.spec.name}
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, migrations()[:4])
        db.execute(OLD_TASK, {**row, "state": progress.state.value, "progress": text(progress)})
        db.executemany(OLD_EVENT, kept)
        work = Submit(ID, progress.fence)
        db.execute("INSERT INTO outbox (queue, due, work) VALUES ('local', 0, ?)", (text(work),))


def text(value: object) -> str:
    return json.encode(value).decode()


async def test_rows_from_before_are_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "funnel.db"
    as_before(path, LIFE)
    host = Host(now=lambda: EPOCH, deployment="test")
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        assert await database.progress(ID) == folded(LIFE)
        assert await database.unfinished("local") == [folded(LIFE)]
        (claim,) = await database.claim("local", limit=9, lease=MINUTE)
        assert (claim.spec, claim.progress) == (NEW.spec, folded(LIFE))
        assert await database.create(NEW) == ID
        for view in (View.MINIMAL, View.BASIC):
            assert (await database.get(ID, view, EVERYONE)).state is State.QUEUED
        task = await database.get(ID, View.FULL, EVERYONE)
        assert task.logs[0].system_logs[0].startswith("level='info' msg='plain' ")
        assert (task.creation_time, task.tags) == (EPOCH, {"a": "b"})
        await database.append(batch(printed(ID, "x"), moved(ID, State.RUNNING)))
        await database.append(batch(moved(ID, State.COMPLETE), Logged(ID, AT, "over")))
        news = await feed(database)
        assert [one.seq for one in news] == [1, *(seq for seq, _ in KEPT), 16, 17, 18]
        assert [one.position for one in news] == [*range(1, len(news) + 1)]
        assert [one.event for one in news[1:-3]] == [one for _, one in KEPT]
        assert await database.events_of(ID, after=5, limit=100) == news[5:]
        assert await database.events_of(ID, after=len(news) - 1, limit=9) == news[-1:]
        await database.delete(ID)
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT 1 FROM event UNION SELECT 1 FROM tag").fetchall()


WHOLE = "ftp://ann:swordfish@host/a"
SLASH = "ftp://bob:sword/fish@host/a"


@pytest.mark.parametrize("schema", [4, 5])
async def test_passwords_of_before_are_taken_out_of_the_events(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "funnel.db"
    as_before(path, [])
    new = replace(NEW, spec=replace(NEW.spec, inputs=(Input(path="/i", url=WHOLE),)))
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, migrations()[:schema])
        body = text(new) if schema == 4 else pack_created(new).body
        db.execute("UPDATE event SET body = ? WHERE seq = 1", (body,))
    host = Host(now=lambda: EPOCH, deployment="test")
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        assert await database.created(ID) == new
        assert b"ftp://ann@host/a" in await database.show(ID, View.FULL, EVERYONE)
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        assert await database.created(ID) == new
        await database.append(batch(moved(ID, State.CANCELED)))
        await database.delete(ID)
    with closing(connect(path, writes=False)) as db:
        assert db.execute("SELECT count(*) FROM secret").fetchone() == (0,)


@pytest.mark.parametrize("known", [Secrets(), Secrets(inputs={0: WHOLE})])
async def test_passwords_with_a_slash_are_taken_out_as_well(tmp_path: Path, known: Secrets) -> None:
    path = tmp_path / "funnel.db"
    as_before(path, [])
    inputs = (Input(path="/i", url=WHOLE if known else "s3://b/a@b"), Input(path="/j", url=SLASH))
    new = replace(NEW, spec=replace(NEW.spec, inputs=inputs))
    shown = replace(new, spec=without(new.spec, known))
    with closing(connect(path, writes=True)) as db:
        migrate(db, path, migrations()[:6])
        db.execute("UPDATE event SET body = ? WHERE seq = 1", (pack_created(shown).body,))
        if known:
            db.execute("INSERT INTO secret (n, urls) VALUES (1, ?)", (stored(known),))
    host = Host(now=lambda: EPOCH, deployment="test")
    async with PLUGIN.make(Settings(path=str(path)), host) as database:
        assert await database.created(ID) == new
        told = await database.show(ID, View.FULL, EVERYONE)
    assert b"fish" not in told
    assert b"ftp://bob@host/a" in told
