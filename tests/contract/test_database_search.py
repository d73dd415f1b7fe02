"""Lists of the SQLite adapter: the same as a dictionary's, and never a scan."""

import sqlite3
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.event import Created
from funnel.core.query import Query, Scope, View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.database import changes, live, search
from funnel.database.changes import New
from funnel.database.claims import Claims
from funnel.database.opening import connect, make_private, migrate
from funnel.database.search import after_prefix
from funnel.database.shown import Shown
from funnel.database.sql import migrations
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.build import EPOCH, EVERYONE, batch, created, moved
from funnel.testing.databases.lists import listed
from funnel.wire.document import read_page

OWNERS = ("ann", "bob", "")
STATES = (State.QUEUED, State.RUNNING, State.COMPLETE)
NAMES = ("", "a", "ab", "aB", "b%", "b_", "\U0010ffff", "é")
KEYS, VALUES = ("x", "y"), ("", "1", "2")


def model(kept: Sequence[tuple[Created, State]], query: Query) -> list[TaskId]:
    return [new.task_id for new, state in reversed(kept) if matches(new, state, query)]


def matches(new: Created, state: State, query: Query) -> bool:
    tags = new.spec.tags
    return (
        query.scope.owner in (None, new.owner)
        and query.state in (None, state)
        and new.spec.name.startswith(query.name_prefix)
        and all(key in tags and value in ("", tags[key]) for key, value in query.tags)
    )


owners = st.sampled_from(OWNERS)
pairs = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES))
queries = st.builds(
    Query,
    scope=st.builds(Scope, st.none() | owners),
    state=st.none() | st.sampled_from(STATES),
    name_prefix=st.sampled_from(NAMES),
    tags=st.lists(pairs, max_size=3).map(tuple),
    page_size=st.integers(1, 7),
)


def news(count: int) -> list[tuple[Created, State]]:
    """Tasks of all kinds, in an order that has nothing to do with their kinds."""
    found = list[tuple[Created, State]]()
    for n in range(count):
        mixed = n * 7919 % 5040
        tags = {key: VALUES[mixed // (7 * (i + 1)) % 3] for i, key in enumerate(KEYS) if mixed % 4}
        new = created(owner=OWNERS[mixed % 3], name=NAMES[mixed // 3 % 8], tags=tags)
        found.append((new, STATES[mixed // 5 % 3]))
    return found


@pytest.fixture(scope="module")
def kept() -> list[tuple[Created, State]]:
    return news(600)


@pytest.fixture(scope="module")
async def database(
    kept: list[tuple[Created, State]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Database]:
    path = tmp_path_factory.mktemp("search") / "funnel.db"
    async with PLUGIN.make(Settings(path=str(path)), Host(now=lambda: EPOCH, deployment="")) as one:
        for new, state in kept:
            await one.create(new)
            if state is not State.QUEUED:
                await one.append(batch(moved(new.task_id, state)))
        yield one


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries)
async def test_any_filters_find_what_a_dictionary_finds(
    database: Database, kept: list[tuple[Created, State]], query: Query
) -> None:
    assert await listed(database, query) == model(kept, query)


@pytest.mark.parametrize("patience", [1, 3, 40])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries)
async def test_however_soon_a_page_is_given_up_the_pages_make_the_whole(
    database: Database,
    kept: list[tuple[Created, State]],
    patience: int,
    query: Query,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SPAN", patience)
        patch.setattr(search, "WORK", patience)
        assert await listed(database, query) == model(kept, query)


async def test_too_many_tags_at_once_are_refused(database: Database) -> None:
    tags = tuple((str(n), "") for n in range(65))
    with pytest.raises(Invalid, match="tag_key: 65 tags are too many"):
        await database.list_tasks(Query(scope=EVERYONE, tags=tags))
    assert await listed(database, Query(scope=EVERYONE, tags=tags[:1] * 65)) == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(prefix=texts.filter(bool), name=texts)
def test_the_end_of_a_prefix_is_where_others_begin(prefix: str, name: str) -> None:
    end = after_prefix(prefix)
    inside = (prefix.encode(), b"") <= (name.encode(), b"") and (
        isinstance(end, bytes) or name.encode() < end.encode()
    )
    assert inside == name.startswith(prefix)
    assert not isinstance(end, bytes) or not prefix.strip("\U0010ffff")


EVERY_FILTER = Query(
    scope=Scope("ann"),
    state=State.QUEUED,
    name_prefix="a",
    tags=(("x", "1"), ("y", ""), ("x", "")),
)


def asked() -> Iterator[Query]:
    """Every combination of filters."""
    for state, prefix in product((None, State.QUEUED), ("", "a")):
        for owner, tags in product((None, "ann"), powerset(EVERY_FILTER.tags)):
            yield Query(scope=Scope(owner), state=state, name_prefix=prefix, tags=tags)


def powerset(tags: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], ...]]:
    for size in range(len(tags) + 1):
        yield from combinations(tags, size)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "funnel.db"
    make_private(path)
    db = connect(path, writes=True)
    migrate(db, path, migrations())
    yield db
    db.close()


def test_many_blocks_of_tasks_are_one_list(db: sqlite3.Connection) -> None:
    kept = keep(db, 9000)
    for n in (1, 4095, 4096, 8192):
        rare = replace(kept[n - 1][0], spec=replace(kept[n - 1][0].spec, name="rare"))
        db.execute("UPDATE task SET name = 'rare' WHERE n = ?", (n,))
        kept[n - 1] = (rare, State.QUEUED)
    for query in (*asked(), Query(scope=EVERYONE, name_prefix="rare")):
        sized = replace(query, page_size=1000)
        assert walked(db, sized) == model(kept, sized)


def keep(db: sqlite3.Connection, count: int) -> list[tuple[Created, State]]:
    db.execute("BEGIN")
    made = [(new, State.QUEUED) for new, _ in news(count)]
    for new, _ in made:
        changes.create(db, New(created=new, notes=(), key=""), 0.0)
    db.execute("COMMIT")
    return made


def walked(db: sqlite3.Connection, query: Query) -> list[TaskId]:
    page = search.search(db, query, Shown())
    found = [task.id for task in read_page(page).tasks]
    while page.next_page_token:
        page = search.search(db, replace(query, page_token=page.next_page_token), Shown())
        found += [task.id for task in read_page(page).tasks]
    return found


NEVER_TOGETHER = (
    Query(scope=EVERYONE, name_prefix="even", tags=(("parity", "odd"),)),
    Query(scope=EVERYONE, tags=(("parity", "odd"), ("parity", "even"))),
    Query(scope=EVERYONE, name_prefix="even", state=State.RUNNING),
    Query(scope=EVERYONE, name_prefix="even", state=State.RUNNING, tags=(("parity", ""),)),
)


@pytest.mark.parametrize("query", NEVER_TOGETHER)
def test_terms_that_never_meet_take_no_longer_among_more(
    db: sqlite3.Connection, query: Query
) -> None:
    few, many = 20_000, 60_000
    keep_odd_and_even(db, range(1, few + 1))
    among_few = steps(db, query)
    keep_odd_and_even(db, range(few + 1, many + 1))
    assert steps(db, query) < among_few * 1.2
    assert walked(db, query) == []


def keep_odd_and_even(db: sqlite3.Connection, numbers: range) -> None:
    """Many tasks, as far as filters see them; every fifth of the odd ones runs."""
    word = ("even", "odd")
    tasks = [
        (n, f"t{n}", "RUNNING" if n % 10 == 1 else "QUEUED", f"{word[n % 2]} {n}") for n in numbers
    ]
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO task (n, id, state, name, owner, queue, active, progress)"
        " VALUES (?, ?, ?, ?, '', 'local', 0, '')",
        tasks,
    )
    db.executemany("INSERT INTO tag VALUES ('parity', ?, ?)", [(word[n % 2], n) for n in numbers])
    db.executemany("INSERT INTO tag_key VALUES ('parity', ?)", [(n,) for n in numbers])
    db.execute("COMMIT")


def steps(db: sqlite3.Connection, query: Query) -> int:
    """What a page costs, in hundreds of SQLite's instructions."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    db.set_progress_handler(step, 100)
    page = search.search(db, query, Shown())
    db.set_progress_handler(None, 0)
    assert page.documents == b""
    return count


def test_no_statement_scans_or_sorts_all_tasks(db: sqlite3.Connection) -> None:
    made = keep(db, 50)
    statements = list[str]()
    db.set_trace_callback(statements.append)
    for query, view in product(asked(), View):
        search.search(db, replace(query, view=view), Shown())
    for view in (View.MINIMAL, View.FULL):
        search.look_up(db, made[0][0].task_id, view, Scope("ann"))
    assert search.has_many_events(db, 1) is False
    changes.create(db, New(created=made[0][0], notes=(), key="k"), 0.0)
    new = New(created=created(), notes=(), key="k")
    changes.create(db, new, 0.0)
    Claims().take(db, "local", 9, 0.0, 0.0)
    changes.append(db, batch(moved(new.created.task_id, State.COMPLETE)), 0.0)
    db.execute(changes.SQL["unfinished"], ("local",)).fetchall()
    live.mark(db, "kafka")
    live.events(db, EVERYONE, 0, 9)
    db.set_trace_callback(None)
    assert len(statements) > 200
    for statement in statements:
        assert not unbounded(db, statement), statement


ITS_OWN = (
    *("CONSTANT ROW", "asked", "block", "json_each", "(subquery", "SUBQUERY"),
    "sqlite_sequence",
)
"""What may be scanned: rows of the question itself, one for each block, or for each table."""


def unbounded(db: sqlite3.Connection, statement: str) -> list[str]:
    """The steps that read or sort more than a page or a block of tasks."""
    if statement.startswith("--"):
        return []
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return [
        step
        for step in plan
        if (step.startswith("SCAN ") and not step[5:].startswith(ITS_OWN))
        or ("TEMP B-TREE" in step and not may_sort(statement))
    ]


def may_sort(statement: str) -> bool:
    """The rows of one task."""
    return "task.id = " in statement
