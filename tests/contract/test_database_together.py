"""What is written for many tasks by one statement: the same rows, and the same answers."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.error import Conflict, Fenced, FunnelError
from funnel.core.event import Accepted, Created
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Spec, TaskId
from funnel.core.work import Claim, Done
from funnel.database import changes, together
from funnel.database.changes import New
from funnel.database.opening import connect, migrate
from funnel.database.space import Space
from funnel.database.sql import migrations
from funnel.database.sqlite import SqliteDatabase
from funnel.database.writer import Writer
from funnel.metrics import Metrics
from funnel.testing.build import EPOCH, EVERYONE, accepted, batch, created, moved

NOW = 1_800_000_000.0
LOOKS = (
    "SELECT * FROM task",
    "SELECT * FROM tag",
    "SELECT * FROM tag_key",
    "SELECT * FROM event",
    "SELECT * FROM outbox",
    "SELECT * FROM idempotency",
    "SELECT * FROM sqlite_sequence WHERE seq > 0",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WHOLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
TAGS = st.dictionaries(WHOLE, WHOLE, max_size=4)
LEASE = timedelta(minutes=1)


@asynccontextmanager
async def writing(folder: str) -> AsyncGenerator[tuple[Writer, sqlite3.Connection]]:
    path = Path(folder) / "t.db"
    with closing(connect(path, writes=True)) as db:
        db.execute("PRAGMA synchronous = OFF")
        migrate(db, path, migrations())
        together.make_ready(db)
        writer = Writer(db, lambda: NOW, metrics=Metrics(), space=Space(path, 0))
        yield writer, db
        await writer.close()


def contents(db: sqlite3.Connection) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    return {look: sorted(db.execute(look), key=repr) for look in LOOKS}


async def written(news: Sequence[New], *, in_bulk: bool) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    """What is stored after these creates."""
    with TemporaryDirectory() as folder:
        async with writing(folder) as (writer, db):
            await asyncio.gather(*(create(writer, new, in_bulk=in_bulk) for new in news))
            assert writer.commits == 1
            return contents(db)


async def create(writer: Writer, new: New, *, in_bulk: bool) -> TaskId:
    bulk = together.arrival(new, NOW) if in_bulk else None
    return await writer.do(lambda db, now: changes.create(db, new, now), bulk=bulk)


def taken(claim: Claim, native_id: str = "") -> Done:
    task_id = claim.work.task_id
    facts = batch(accepted(task_id, native_id or f"{task_id}-1"), fence=claim.work.fence)
    return Done(claim, facts)


def promised(task: Created, native_id: str = "") -> tuple[Accepted]:
    return (accepted(task.task_id, native_id or f"{task.task_id}-1"),)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TAGS, st.booleans(), TEXTS), min_size=1, max_size=9))
def test_the_rows_are_the_same(
    some: Sequence[tuple[str, str, str, Mapping[str, str], bool, str]],
) -> None:
    news = [
        New(
            created=(task := created(owner=owner, name=name, tags=tags)),
            notes=promised(task, native_id) if is_promised else (),
            key=f"{key}{number}" if key else "",
        )
        for number, (owner, name, key, tags, is_promised, native_id) in enumerate(some)
    ]
    one_by_one = asyncio.run(written(news, in_bulk=False))
    assert asyncio.run(written(news, in_bulk=True)) == one_by_one


def test_texts_that_json_would_cut_short_are_whole() -> None:
    news = [New(created=created(tags={"a\0b": "c\0d"}), notes=(), key="")]
    assert asyncio.run(written(news, in_bulk=True))["SELECT * FROM tag"] == [("a\0b", "c\0d", 1)]


def test_many_are_as_few() -> None:
    news = [New(created=created(tags={"n": str(n)}), notes=(), key="") for n in range(99)]
    assert len(asyncio.run(written(news, in_bulk=True))["SELECT * FROM task"]) == 99


async def test_a_task_that_is_there_spoils_nothing(database: SqliteDatabase) -> None:
    first, second = created(name="first"), created(name="second")
    other = Created(first.task_id, EPOCH, Spec(name="other"), first.owner, first.queue)
    answers = await asyncio.gather(
        *(database.create(one) for one in (first, second, first, other)), return_exceptions=True
    )
    assert answers[:3] == [first.task_id, second.task_id, first.task_id]
    assert isinstance(answers[3], Conflict)


async def test_a_key_that_is_used_twice_at_once_makes_one_task(database: SqliteDatabase) -> None:
    one = created(name="one")
    again, other = replace(one, task_id=created().task_id), created(name="other")
    answers = await asyncio.gather(
        *(database.create(task, key="k") for task in (one, again, other)), return_exceptions=True
    )
    assert answers[:2] == [one.task_id] * 2
    assert isinstance(answers[2], Conflict)
    assert await database.create(again, key="k") == one.task_id


async def test_what_was_promised_is_no_errand_and_is_found_by_the_next_start(
    database: SqliteDatabase,
) -> None:
    one, other = created(), created()
    made = list[TaskId]()
    await asyncio.gather(
        *(
            database.create(task, notes=promised(task), stored=partial(made.append, task.task_id))
            for task in (one, other)
        )
    )
    assert made == [one.task_id, other.task_id]
    assert not await database.claim("local", limit=10, lease=LEASE)
    left = await database.unfinished("local")
    assert [progress.native_id for progress in left] == [f"{one}-1" for one in made]
    told = [one.event for one in await database.events_of(one.task_id, after=0, limit=9)]
    assert told == [one, *promised(one)]


async def test_who_has_gone_is_stored_and_said_to_be(database: SqliteDatabase) -> None:
    one = created()
    stored = asyncio.Event()
    making = asyncio.ensure_future(database.create(one, notes=promised(one), stored=stored.set))
    await asyncio.sleep(0)
    making.cancel()
    async with asyncio.timeout(20):
        await stored.wait()
    assert (await database.progress(one.task_id)).native_id
    assert making.cancelled()


async def test_what_is_not_made_is_not_said_to_be(database: SqliteDatabase) -> None:
    one = created()
    await database.create(one, key="k")
    again = replace(one, task_id=created().task_id)
    other = replace(again, spec=Spec(name="other"))
    heard = list[TaskId]()
    assert await database.create(again, key="k", stored=lambda: heard.append(again.task_id))
    with pytest.raises(Conflict):
        await database.create(other, key="k", stored=lambda: heard.append(other.task_id))
    assert not heard


async def test_what_has_moved_on_is_read_when_it_is_claimed(database: SqliteDatabase) -> None:
    one = created()
    await database.create(one)
    await database.append(batch(moved(one.task_id, State.CANCELED)))
    claims = await database.claim("local", limit=10, lease=LEASE)
    assert [claim.progress.state for claim in claims if claim.progress] == [State.CANCELED]


async def test_who_has_moved_on_is_heard_and_others_are_accepted(database: SqliteDatabase) -> None:
    staying, canceled = created(), created()
    await asyncio.gather(database.create(staying), database.create(canceled))
    claims = await database.claim("local", limit=10, lease=LEASE)
    await database.append(batch(moved(canceled.task_id, State.CANCELED)))
    assert await database.settle([taken(claim) for claim in claims]) == [None, None]
    progress = await database.progress(staying.task_id)
    assert progress.native_id == f"{staying.task_id}-1"
    (cancel,) = await database.claim("local", limit=10, lease=LEASE)
    assert cancel.work.task_id == canceled.task_id
    assert (await database.get(canceled.task_id, View.MINIMAL, EVERYONE)).state is State.CANCELED


async def test_work_is_done_once(database: SqliteDatabase) -> None:
    task = created()
    await database.create(task)
    (claim,) = await database.claim("local", limit=10, lease=LEASE)
    first, second = await asyncio.gather(
        database.settle([taken(claim)]), database.settle([taken(claim, "another")])
    )
    assert [_kind(one) for one in (*first, *second)] == [None, Fenced]
    assert (await database.progress(task.task_id)).native_id == f"{task.task_id}-1"
    told = [one.event for one in await database.events_of(task.task_id, after=0, limit=9)]
    assert [one.native_id for one in told if isinstance(one, Accepted)] == [f"{task.task_id}-1"]


def _kind(answer: FunnelError | None) -> type[FunnelError] | None:
    return type(answer) if answer else None
