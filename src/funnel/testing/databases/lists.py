"""Lists: pages and filters."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.query import Query, Scope, View
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.ports import Database
from funnel.testing.build import EVERYONE, batch, created, logged, moved
from funnel.testing.databases.page import page_of

EVERY = partial(Query, scope=EVERYONE)


class ListSuite:
    async def test_an_empty_list_is_one_empty_page(self, database: Database) -> None:
        for query in (EVERY(), EVERY(name_prefix="a"), EVERY(tags=(("a", ""),))):
            page = await page_of(database, query)
            assert (page.tasks, page.next_page_token) == ((), "")

    @pytest.mark.parametrize("page_size", [1, 2, 5, 6])
    async def test_pages_are_newest_first_and_miss_nothing(
        self, database: Database, page_size: int
    ) -> None:
        made = [await database.create(created(name="n", tags={"t": "1"})) for _ in range(5)]
        for query in (EVERY(), EVERY(name_prefix="n"), EVERY(tags=(("t", "1"),))):
            sized = replace(query, page_size=page_size)
            assert await listed(database, sized) == made[::-1]

    async def test_the_last_page_has_no_token(self, database: Database) -> None:
        for _ in range(4):
            await database.create(created())
        first = await page_of(database, EVERY(page_size=2))
        assert first.next_page_token
        last = await page_of(database, EVERY(page_size=2, page_token=first.next_page_token))
        assert (len(last.tasks), last.next_page_token) == (2, "")

    async def test_new_tasks_do_not_disturb_a_walk(self, database: Database) -> None:
        made = [await database.create(created()) for _ in range(4)]
        page = await page_of(database, EVERY(page_size=2))
        await database.create(created())
        rest = EVERY(page_size=9, page_token=page.next_page_token)
        assert await listed(database, rest) == made[1::-1]

    async def test_a_token_of_somebody_else_is_invalid(self, database: Database) -> None:
        for _ in range(2):
            await database.create(created())
        token = (await page_of(database, EVERY(page_size=1))).next_page_token
        garbled = ("1", "x" * len(token), token[:-1], f"{token}=", f"é{token[1:]}", "1" * 9999)
        for bad in (*garbled, token.swapcase(), token[1:] + token[0]):
            with pytest.raises(Invalid, match="page_token: "):
                await page_of(database, EVERY(page_token=bad))

    async def test_a_page_has_the_view_that_was_asked_for(self, database: Database) -> None:
        task_id = await database.create(created(name="n"))
        await database.append(batch(logged(task_id, "hi")))
        for view in View:
            (task,) = (await page_of(database, EVERY(view=view))).tasks
            assert task == await database.get(task_id, view, EVERYONE)

    async def test_every_filter_alone(self, database: Database) -> None:
        one = await database.create(created(name="50%_a", tags={"x": "1", "y": "2"}))
        two = await database.create(created(name="b", tags={"x": "1"}, owner="bob"))
        await database.append(batch(moved(two, State.RUNNING)))
        for query, wanted in (
            (EVERY(state=State.QUEUED), [one]),
            (EVERY(state=State.RUNNING), [two]),
            (EVERY(state=State.COMPLETE), []),
            (EVERY(tags=(("x", "1"),)), [two, one]),
            (EVERY(tags=(("x", "1"), ("y", ""))), [one]),
            (EVERY(tags=(("x", "2"),)), []),
            (EVERY(tags=(("x", "1"), ("x", "2"))), []),
            (Query(scope=Scope("bob")), [two]),
            (Query(scope=Scope("")), []),
        ):
            assert await listed(database, query) == wanted

    @pytest.mark.parametrize(
        ("asked", "had", "matches"),
        [
            ({"foo": "bar"}, {"foo": "bar"}, True),
            ({"foo": "bar"}, {"foo": "bat"}, False),
            ({"foo": ""}, {"foo": ""}, True),
            ({"foo": ""}, {"foo": "bar"}, True),
            ({"foo": ""}, {}, False),
            ({"foo": "bar"}, {}, False),
            ({"foo": "bar"}, {"foo": "bar", "baz": "bat"}, True),
            ({"foo": "bar", "baz": "bat"}, {"foo": "bar", "baz": "bat"}, True),
            ({"foo": "bar", "baz": "bat"}, {"foo": "bar"}, False),
            ({"foo": "", "baz": "bat"}, {"foo": "bar", "baz": "bat"}, True),
            ({"FOO": "bar"}, {"foo": "bar"}, False),
        ],
    )
    async def test_tags_match_by_the_truth_table(
        self, database: Database, asked: dict[str, str], had: dict[str, str], *, matches: bool
    ) -> None:
        task_id = await database.create(created(tags=had))
        found = await listed(database, EVERY(tags=tuple(asked.items())))
        assert found == ([task_id] if matches else [])

    @pytest.mark.parametrize(
        ("prefix", "names"),
        [
            ("ab", ["ab", "abc"]),
            ("AB", ["AB"]),
            ("50%_", ["50%_a"]),
            ("5", ["50%_a"]),
            ("_", []),
            ("*", []),
            ("é", ["été"]),
            ("\U0010ffff", ["\U0010ffff\U0010ffffz"]),
            ("\ud7ff", ["\ud7ffx"]),
            ("a\0", ["a\0b"]),
        ],
    )
    async def test_a_name_prefix_is_taken_by_the_letter(
        self, database: Database, prefix: str, names: list[str]
    ) -> None:
        all_names = ("50%_a", "AB", "a", "a\0b", "ab", "abc", "ac", "b", "été", "\ud7ffx", "\ue000")
        for name in (*all_names, "\U0010ffff\U0010ffffz", ""):
            await database.create(created(name=name))
        page = await page_of(database, EVERY(name_prefix=prefix, view=View.BASIC))
        assert [task.name for task in page.tasks] == names[::-1]

    async def test_filters_together_must_all_match(self, database: Database) -> None:
        made: dict[TaskId, tuple[str, State, str, str]] = {}
        for owner in ("ann", "bob"):
            for name in ("x1", "y1"):
                for value in ("1", "2"):
                    task_id = await database.create(
                        created(owner=owner, name=name, tags={"t": value})
                    )
                    made[task_id] = (owner, State.QUEUED, name, value)
        for task_id, (owner, _, name, value) in [*made.items()][::3]:
            await database.append(batch(moved(task_id, State.RUNNING)))
            made[task_id] = (owner, State.RUNNING, name, value)
        for task_id, (owner, state, name, value) in made.items():
            query = Query(
                scope=Scope(owner), state=state, name_prefix=name[0], tags=(("t", value), ("t", ""))
            )
            assert await listed(database, query) == [task_id]

    async def test_a_filter_sees_what_was_just_answered(self, database: Database) -> None:
        task_id = await database.create(created())
        for state in (State.INITIALIZING, State.RUNNING, State.COMPLETE):
            await database.append(batch(moved(task_id, state)))
            assert await listed(database, EVERY(state=state)) == [task_id]
        assert await listed(database, EVERY(state=State.QUEUED)) == []


async def listed(database: Database, query: Query) -> list[TaskId]:
    """The ids of all pages."""
    return [task.id async for task in _walk(database, query)]


async def _walk(database: Database, query: Query) -> AsyncIterator[Task]:
    while True:
        page = await page_of(database, query)
        assert len(page.tasks) <= query.page_size
        for task in page.tasks:
            yield task
        if not page.next_page_token:
            return
        query = replace(query, page_token=page.next_page_token)
