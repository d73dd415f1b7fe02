"""A row that cannot be read costs its own task, and no other notices."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from damaging import Damage, of_json, of_task, work_of
from msgspec import json
from msgspec.structs import replace

from funnel.core.error import InvalidTransition, NotFound
from funnel.core.event import Change, ExecutorExited, ExecutorStarted
from funnel.core.output import Place
from funnel.core.query import Query, View
from funnel.core.state import State, is_final
from funnel.core.task import Spec, Task, TaskId
from funnel.core.work import Done
from funnel.database import changes
from funnel.database.opening import connect
from funnel.database.sqlite import PLUGIN, Settings, SqliteDatabase
from funnel.plugins import Host
from funnel.testing.build import (
    EPOCH,
    EVERYONE,
    MINUTE,
    NOTHING,
    accepted,
    batch,
    created,
    logged,
    moved,
    printed,
)
from funnel.testing.databases.page import page_of

HOST = Host(now=lambda: EPOCH, deployment="test")
GOOD, BAD = 1000, 500


def life(task_id: TaskId, stage: int) -> Iterator[Change]:
    """What has happened to a task by then; 0 is nothing."""
    events: tuple[Change, ...] = (
        accepted(task_id),
        moved(task_id, State.RUNNING),
        ExecutorStarted(task_id, EPOCH, 0),
        logged(task_id, "hello"),
        printed(task_id, "some words"),
        ExecutorExited(task_id, EPOCH, 0, 0),
        moved(task_id, State.COMPLETE),
    )
    yield from events[:stage]


def fill(db: sqlite3.Connection, count: int, first: int) -> list[TaskId]:
    made: list[TaskId] = []
    db.execute("BEGIN")
    for n in range(first, first + count):
        new = created(name=f"n{n % 7}", tags={"t": str(n % 5)})
        made.append(changes.create(db, changes.New(created=new, notes=(), key=""), 0.0))
        if events := tuple(life(new.task_id, n % 8)):
            changes.append(db, batch(*events), 0.0)
    db.execute("COMMIT")
    return made


def damage(db: sqlite3.Connection, ids: Sequence[TaskId]) -> None:
    """Each in another way, the ways spread over all there are."""
    numbers = [db.execute("SELECT n FROM task WHERE id = ?", (one,)).fetchone()[0] for one in ids]
    db.execute("BEGIN")
    for turn, n in enumerate(numbers):
        ways: list[Damage] = [*of_task(db, n)]
        statement, values = ways[turn * 7919 % len(ways)]
        db.execute(statement, values)
    db.execute("COMMIT")


async def listed(database: SqliteDatabase, view: View) -> dict[str, Any]:
    """Documents by id, of all pages."""
    found: dict[str, Any] = {}
    query = Query(scope=EVERYONE, view=view, page_size=256)
    while True:
        listing = await database.list_tasks(query)
        page = json.decode(b"[%b]" % listing.documents)
        assert len(page) <= 256
        found.update((one["id"], one) for one in page)
        if not listing.next_page_token:
            return found
        query = replace(query, page_token=listing.next_page_token)


@pytest.mark.timeout(180)
async def test_five_hundred_damaged_tasks_cost_no_other_anything(tmp_path: Path) -> None:
    at = Settings(path=str(tmp_path / "funnel.db"))
    async with PLUGIN.make(at, HOST):
        pass
    good, bad = await asyncio.to_thread(_prepare, tmp_path / "funnel.db")
    async with PLUGIN.make(at, HOST) as database:
        wanted = {one: await database.get(one, View.FULL, EVERYONE) for one in good}
        await asyncio.to_thread(_damage, tmp_path / "funnel.db", bad)
        for view in (View.MINIMAL, View.FULL, View.BASIC):
            found = await listed(database, view)
            assert len(found) == GOOD + BAD
            assert {*good} <= found.keys()
        assert {one.task_id for one in await database.unfinished("local")} & {*good}
        assert sum((await database.counts()).values()) == GOOD + BAD
        await _claim_all(database, good)
        await _read_the_feed(database, good)
        for one in bad:
            await _ask_everything(database, one)
        for one, task in wanted.items():
            assert await database.get(one, View.FULL, EVERYONE) == task
        for one in good:
            if not is_final((await database.progress(one)).state):
                await database.append(batch(moved(one, State.COMPLETE)))
    async with PLUGIN.make(at, HOST) as database:
        assert (await listed(database, View.BASIC)).keys() >= {*good}


def _prepare(path: Path) -> tuple[list[TaskId], list[TaskId]]:
    """Good ones and those to be damaged, mixed on every page."""
    good, bad = list[TaskId](), list[TaskId]()
    with closing(connect(path, writes=True)) as db:
        for turn in range(10):
            good += fill(db, GOOD // 10, turn * 8)
            bad += fill(db, BAD // 10, turn)
    return good, bad


def _damage(path: Path, ids: Sequence[TaskId]) -> None:
    with closing(connect(path, writes=True)) as db:
        damage(db, ids)


async def _claim_all(database: SqliteDatabase, good: Sequence[TaskId]) -> None:
    claims = await database.claim("local", limit=10_000, lease=MINUTE)
    assert {*good} <= {claim.work.task_id for claim in claims}
    answers = await database.settle([Done(claim) for claim in claims])
    assert not [one for one in answers if one]


async def _read_the_feed(database: SqliteDatabase, good: Sequence[TaskId]) -> None:
    seen, after = set[TaskId](), 0
    while True:
        news, position = await database.events(EVERYONE, after=after, limit=500)
        seen |= {one.event.task_id for one in news}
        if position == after:
            assert {*good} <= seen
            return
        after = position


async def _ask_everything(database: SqliteDatabase, task_id: TaskId) -> None:
    """Whatever the answer is, it is one."""
    with suppress(NotFound):
        for view in View:
            json.decode(await database.show(task_id, view, EVERYONE))
            await database.get(task_id, view, EVERYONE)
        await database.events_of(task_id, after=0, limit=100)
        await database.printed(task_id, Place())
        with suppress(InvalidTransition):
            await database.append(batch(moved(task_id, State.CANCELED)))
        progress = await database.progress(task_id)
        assert is_final(progress.state)
        assert (await database.get(task_id, View.MINIMAL, EVERYONE)).state is progress.state
        await database.delete(task_id)


def change(path: Path, statement: str, *values: object) -> None:
    with closing(connect(path, writes=True)) as db:
        assert db.execute(statement, values).rowcount


async def test_lost_progress_is_folded_from_the_events(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        task_id = await database.create(created(name="n"))
        await database.append(batch(*life(task_id, 6)))
        before = await database.progress(task_id)
        await asyncio.to_thread(change, path, "UPDATE task SET progress = '{'")
        task = await database.get(task_id, View.FULL, EVERYONE)
        assert (task.state, task.name) == (State.RUNNING, "n")
        assert task.logs[0].logs == (replace(before.logs[0].logs[0], stdout="some words"),)
        assert "lost are: progress" in task.logs[0].system_logs[-1]
        after = await database.append(batch(moved(task_id, State.COMPLETE)))
        assert after.version > before.version
    assert f"of task {task_id} could not be read and was set aside: progress" in caplog.text


@pytest.mark.parametrize("first", ["BASIC", "FULL", "progress", "append"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE task SET progress = json_set(progress, '$[2]', 'COMPLETE')",
        "UPDATE task SET state = 'QUEUED'",
        "UPDATE task SET state = 'nothing'",
        "UPDATE task SET state = x'ff'",
    ],
)
async def test_a_state_that_contradicts_the_progress_is_folded_from_the_events(
    tmp_path: Path, first: str, statement: str
) -> None:
    path = tmp_path / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        task_id = await database.create(created())
        await database.append(batch(*life(task_id, 6)))
        await asyncio.to_thread(change, path, statement)
        if first == "progress":
            assert (await database.progress(task_id)).state is State.RUNNING
        elif first == "append":
            await database.append(batch(logged(task_id, "more")))
        else:
            (seen,) = (await listed(database, View(first))).values()
            assert seen["state"] == "RUNNING"
        task = await database.get(task_id, View.FULL, EVERYONE)
        assert "lost are: state" in "".join(task.logs[0].system_logs)
        assert [one.id for one in await of_state(database, State.RUNNING)] == [task_id]
        after = await database.append(batch(moved(task_id, State.COMPLETE)))
        assert after.state is State.COMPLETE


async def of_state(database: SqliteDatabase, state: State) -> Sequence[Task]:
    return (await page_of(database, Query(scope=EVERYONE, state=state))).tasks


async def test_a_task_whose_spec_is_lost_ends_by_a_fault_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        task_id = await database.create(created())
        done = await database.create(created())
        await database.append(batch(moved(done, State.COMPLETE)))
        lost = "UPDATE event SET body = 'x' WHERE seq = 1"
        await asyncio.to_thread(change, path, lost)
        for one, state in ((task_id, State.SYSTEM_ERROR), (done, State.COMPLETE)):
            task = await database.get(one, View.FULL, EVERYONE)
            assert (task.state, task.executors) == (state, ())
            assert "lost are: event 1" in task.logs[0].system_logs[-1]
        for view in View:
            states = {one["state"] for one in (await listed(database, view)).values()}
            assert states == {"SYSTEM_ERROR", "COMPLETE"}
        with pytest.raises(InvalidTransition, match="SYSTEM_ERROR cannot become CANCELED"):
            await database.append(batch(moved(task_id, State.CANCELED)))
        await database.delete(task_id)
        await database.delete(done)
    with closing(connect(path, writes=True)) as db:
        assert db.execute("SELECT count(*) FROM damaged").fetchone() == (0,)


@pytest.mark.parametrize(
    "lost", ["UPDATE event SET body = 'x' WHERE seq = 1", "DELETE FROM event WHERE seq = 1"]
)
async def test_a_worker_hears_that_a_task_has_lost_its_spec_and_is_over(
    tmp_path: Path, lost: str
) -> None:
    path = tmp_path / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        task_id = await database.create(created())
        await asyncio.to_thread(change, path, lost)
        assert (await database.created(task_id)).spec == Spec()
        assert (await database.progress(task_id)).state is State.SYSTEM_ERROR


async def test_what_was_lost_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), HOST) as database:
        task_id = await database.create(created())
        await database.append(batch(*life(task_id, 5)))
        await asyncio.to_thread(
            change, path, 'UPDATE event SET body = \'{"kind":"log\' WHERE seq = 5'
        )
        await asyncio.to_thread(change, path, "UPDATE output SET stream = 'stdxxx'")
        task = await database.get(task_id, View.FULL, EVERYONE)
        assert task.state is State.RUNNING
        assert "lost are: output 1 0 stdxxx 0, the events up to 5" in task.logs[0].system_logs[-1]
    with closing(connect(path, writes=True)) as db:
        rows = dict(db.execute("SELECT what, CAST(body AS TEXT) FROM damaged").fetchall())
    assert rows == {"the events up to 5": '{"kind":"log', "output 1 0 stdxxx 0": "some words"}


async def test_a_task_whose_work_is_lost_is_submitted_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "funnel.db"
    text = '{"kind":"submit","task_id":"x","fence":1}'
    unreadable = [way for way in of_json(work_of(1), text) if '"task_id":"x' not in str(way[1][0])]
    for number, (statement, values) in enumerate(unreadable):
        at = Settings(path=f"{path}{number}")
        async with PLUGIN.make(at, HOST) as database:
            made = [await database.create(created()) for _ in range(2)]
            await asyncio.to_thread(change, Path(at.path), statement, *values)
            claims = [*await database.claim("local", limit=9, lease=NOTHING)]
            claims += await database.claim("local", limit=9, lease=NOTHING)
            assert {claim.work.task_id for claim in claims} >= {*made}
    assert "work 1 of the outbox cannot be read and was set aside" in caplog.text
