"""Creating, reading and appending."""

import asyncio

import pytest
from msgspec.structs import replace

from funnel.core.error import Conflict, Fenced, Gap, InvalidTransition, NotFound
from funnel.core.event import ExecutorExited, ExecutorStarted, Level, Logged, Requeued
from funnel.core.query import Query, Scope, View
from funnel.core.state import State
from funnel.core.task import Input, Output, TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH, EVERYONE, batch, created, logged, moved, new_id
from funnel.testing.databases.page import page_of


class TaskSuite:
    async def test_what_is_created_can_be_got(self, database: Database) -> None:
        new = created(name="hello", tags={"a": "b"}, inputs=(Input(path="/i", content="xyz"),))
        assert await database.create(new) == new.task_id
        minimal, basic, full = [
            await database.get(new.task_id, view, EVERYONE)
            for view in (View.MINIMAL, View.BASIC, View.FULL)
        ]
        assert (minimal.id, minimal.state, minimal.executors) == (new.task_id, State.QUEUED, ())
        assert (basic.name, basic.tags, basic.state) == ("hello", {"a": "b"}, State.QUEUED)
        assert basic.creation_time == EPOCH
        assert (basic.inputs[0].content, full.inputs[0].content) == ("", "xyz")
        assert await database.created(new.task_id) == new

    async def test_only_who_runs_a_task_gets_what_its_urls_hide(self, database: Database) -> None:
        urls = ("ftp://ann:swordfish@host/a", "https://host/a?x=1&X-Amz-Signature=swordfish", "/a")
        new = created(
            inputs=tuple(Input(path=f"/i{at}", url=url) for at, url in enumerate(urls)),
            outputs=(Output(path="/o", url=urls[0]), Output(path="/p", url=urls[2])),
        )
        assert await database.create(new, key="k") == new.task_id
        assert await database.created(new.task_id) == new
        for view in View:
            assert b"swordfish" not in await database.show(new.task_id, view, EVERYONE)
            listing = await database.list_tasks(Query(scope=EVERYONE, view=view))
            assert b"swordfish" not in listing.documents
        assert "swordfish" not in str(await database.events(EVERYONE, after=0, limit=99))
        shown = await database.get(new.task_id, View.FULL, EVERYONE)
        assert [one.url for one in shown.inputs] == [
            *("ftp://ann@host/a", "https://host/a?x=1&X-Amz-Signature=***", "/a")
        ]
        again = replace(new, task_id=new_id())
        assert await database.create(again, key="k") == new.task_id
        other = replace(new.spec, outputs=(Output(path="/o", url="ftp://ann:other@host/a"),))
        with pytest.raises(Conflict):
            await database.create(replace(again, spec=other), key="k")

    async def test_any_text_comes_back_as_it_was(self, database: Database) -> None:
        text = "'\"\\ \0\x1f é漢🎲 %_\n\u2028"
        inputs = (Input(path="/i", content=text),)
        new = created(name=text, tags={text: text}, owner=text, inputs=inputs)
        await database.create(new, key=text)
        await database.append(batch(logged(new.task_id, text)))
        task = await database.get(new.task_id, View.FULL, Scope(text))
        assert (task.name, task.tags, task.inputs) == (text, {text: text}, inputs)
        assert len(task.logs[0].system_logs) == 1
        query = Query(scope=Scope(text), name_prefix=text, tags=((text, text), (text, "")))
        assert [one.id for one in (await page_of(database, query)).tasks] == [new.task_id]

    async def test_a_foreign_task_is_as_absent_as_a_missing_one(self, database: Database) -> None:
        task_id = await database.create(created(owner="ann"))
        for view in View:
            assert (await database.get(task_id, view, Scope("ann"))).id == task_id
            for wanted, scope in ((task_id, Scope("bob")), (TaskId("none"), EVERYONE)):
                with pytest.raises(NotFound, match=f"no task {wanted}"):
                    await database.get(wanted, view, scope)
        for look in (database.created, database.progress):
            with pytest.raises(NotFound):
                await look(TaskId("none"))

    async def test_a_key_makes_one_task(self, database: Database) -> None:
        news = [created(name="same") for _ in range(8)]
        made = await asyncio.gather(*(database.create(new, key="k") for new in news))
        assert set(made) == {news[0].task_id}
        assert await database.create(created(name="same", owner="bob"), key="k") not in made
        assert await database.create(created(name="same"), key="other") not in made
        assert len((await page_of(database, Query(scope=EVERYONE))).tasks) == 3

    async def test_a_key_or_id_with_another_spec_is_a_conflict(self, database: Database) -> None:
        new = created(name="one")
        assert await database.create(new, key="k") == new.task_id
        assert await database.create(new) == new.task_id
        with pytest.raises(Conflict):
            await database.create(created(name="other"), key="k")
        foreign = created(owner="bob", name="one")
        await database.create(foreign)
        for other in (created(name="two"), created(owner="eve", name="one")):
            with pytest.raises(Conflict):
                await database.create(replace(other, task_id=foreign.task_id))
        assert len((await page_of(database, Query(scope=EVERYONE))).tasks) == 2

    async def test_notes_are_kept_with_the_task(self, database: Database) -> None:
        new = created()
        note = Logged(new.task_id, EPOCH, "ignored", Level.WARNING, {"key": "zone"})
        await database.create(new, notes=[note, note], key="k")
        await database.create(new, notes=[note], key="k")
        (log,) = (await database.get(new.task_id, View.FULL, EVERYONE)).logs
        assert len(log.system_logs) == 2
        assert "level='warning'" in log.system_logs[0]
        assert "key='zone'" in log.system_logs[0]
        assert (await database.progress(new.task_id)).version == 3

    async def test_system_logs_are_in_the_full_view_only(self, database: Database) -> None:
        task_id = await database.create(created())
        start = ExecutorStarted(task_id, EPOCH, 0)
        progress = await database.append(batch(logged(task_id, "hi"), start, fence=1))
        assert progress == await database.progress(task_id)
        full = await database.get(task_id, View.FULL, EVERYONE)
        assert ["msg='hi'" in line for line in full.logs[0].system_logs] == [True]
        basic = await database.get(task_id, View.BASIC, EVERYONE)
        assert basic.logs[0].system_logs == ()
        assert basic.logs[0].logs[0].start_time == EPOCH

    async def test_events_keep_the_order_of_their_calls(self, database: Database) -> None:
        task_id = await database.create(created())
        await asyncio.gather(*(database.append(batch(logged(task_id, str(n)))) for n in range(300)))
        assert await said(database, task_id) == [[str(n) for n in range(300)]]
        assert (await database.progress(task_id)).version == 301

    async def test_a_long_life_can_be_read_whole(self, database: Database) -> None:
        task_id = await database.create(created())
        words = [str(n) for n in range(1200)]
        await database.append(batch(*(logged(task_id, word) for word in words), fence=1))
        assert await said(database, task_id) == [words]

    async def test_a_batch_sent_twice_is_kept_once(self, database: Database) -> None:
        task_id = await database.create(created())
        first = batch(logged(task_id, "1"), logged(task_id, "2"), fence=1, first=1)
        answers = await asyncio.gather(database.append(first), database.append(first))
        assert answers[0] == answers[1]
        await database.append(batch(logged(task_id, "2"), logged(task_id, "3"), fence=1, first=2))
        assert await said(database, task_id) == [["1", "2", "3"]]

    async def test_a_gap_is_refused_with_where_to_go_on(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(logged(task_id, "1"), fence=1, first=1))
        with pytest.raises(Gap, match="send again from 2"):
            await database.append(batch(logged(task_id, "3"), fence=1, first=3))
        assert await said(database, task_id) == [["1"]]

    async def test_others_who_do_not_count_disturb_no_count(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(logged(task_id, "worker"), fence=1, first=1))
        await database.append(batch(logged(task_id, "server")))
        await database.append(batch(logged(task_id, "worker"), fence=1, first=2))
        assert await said(database, task_id) == [["worker", "server", "worker"]]

    async def test_an_old_attempt_is_not_heard(self, database: Database) -> None:
        task_id = await database.create(created())
        requeued = batch(Requeued(task_id, EPOCH, "node lost"), fence=1)
        await database.append(requeued)
        with pytest.raises(Fenced):
            await database.append(requeued)
        with pytest.raises(Fenced):
            await database.append(batch(moved(task_id, State.COMPLETE), fence=1))
        after = await database.append(batch(moved(task_id, State.RUNNING), fence=2))
        assert (after.state, after.fence) == (State.RUNNING, 2)
        await database.append(batch(logged(task_id, "again"), fence=2, first=1))
        assert await said(database, task_id) == [[], ["again"]]

    async def test_a_refusal_keeps_nothing(self, database: Database) -> None:
        good, bad = [await database.create(created()) for _ in range(2)]
        before = await database.append(batch(moved(bad, State.CANCELED)))
        answers = await asyncio.gather(
            database.append(batch(moved(good, State.RUNNING))),
            database.append(batch(logged(bad, "not kept"), moved(bad, State.RUNNING))),
            database.append(batch(logged(TaskId("none"), "x"))),
            database.append(batch(moved(good, State.COMPLETE))),
            return_exceptions=True,
        )
        assert [type(one) for one in answers][1:3] == [InvalidTransition, NotFound]
        assert (await database.progress(good)).state is State.COMPLETE
        assert await database.progress(bad) == before
        assert await said(database, bad) == [[]]

    async def test_of_two_ends_one_wins_and_the_other_hears_of_it(self, database: Database) -> None:
        for _ in range(5):
            task_id = await database.create(created())
            ends = (State.COMPLETE, State.CANCELED)
            answers = await asyncio.gather(
                *(database.append(batch(moved(task_id, state))) for state in ends),
                return_exceptions=True,
            )
            refused = [one for one in answers if isinstance(one, InvalidTransition)]
            assert len(refused) == 1
            assert (await database.progress(task_id)) in answers

    async def test_a_task_that_ended_takes_only_text(self, database: Database) -> None:
        task_id = await database.create(created())
        await database.append(batch(ExecutorExited(task_id, EPOCH, 0, 0), fence=1))
        await database.append(batch(moved(task_id, State.COMPLETE)))
        await database.append(batch(logged(task_id, "swept")))
        for late in (moved(task_id, State.CANCELED), Requeued(task_id, EPOCH, "no")):
            with pytest.raises(InvalidTransition):
                await database.append(batch(late))
        task = await database.get(task_id, View.BASIC, EVERYONE)
        assert (task.state, task.logs[0].logs[0].exit_code) == (State.COMPLETE, 0)


async def said(database: Database, task_id: TaskId) -> list[list[str]]:
    """The messages of the system log, by attempt."""
    task = await database.get(task_id, View.FULL, EVERYONE)
    return [
        [line.partition("msg='")[2].partition("'")[0] for line in log.system_logs]
        for log in task.logs
    ]
