"""An attempt and its server: what is said is kept once, whatever happens to the connection."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest
from byhand import PATIENCE
from place import STEADY, Place, notes, silent

from funnel.core.access import Caller, Kind
from funnel.core.error import Denied, Fenced, Invalid, InvalidTransition, NotFound, Unavailable
from funnel.core.event import (
    Accepted,
    Batch,
    ExecutorStarted,
    MetadataAdded,
    Requeued,
)
from funnel.core.lease import WORKER
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.link.link import Link
from funnel.link.unsaid import Unsaid
from funnel.testing.build import EPOCH, logged, moved, printed


async def test_what_a_worker_says_is_kept_and_acknowledged(place: Place) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id) as link:
        assert (await link.created(task_id)).spec == (await place.database.created(task_id)).spec
        running = Batch(task_id=task_id, events=(moved(task_id, State.RUNNING),), fence=1, first=1)
        progress = await link.append(running)
        assert (progress.state, progress.heard) == (State.RUNNING, 1)
        assert (await place.see(task_id)).state is State.RUNNING
        assert (await link.append(notes(task_id, 2, "one", "two"))).heard == 3
        assert await place.said(task_id) == ["one", "two"]


async def test_a_large_batch_goes_in_pieces(place: Place) -> None:
    task_id = await place.create()
    text = "x" * 300_000
    events = (ExecutorStarted(task_id, EPOCH, 0), printed(task_id, text, keep=10**6))
    batch = Batch(task_id=task_id, events=events, fence=1, first=1)
    async with place.server(), place.link(task_id) as link:
        assert (await link.append(batch)).heard == 2
        await link.append(notes(task_id, 3, *("y" * 1000 for _ in range(3000))))
    assert (await place.see(task_id)).logs[0].logs[0].stdout == text
    assert len(await place.said(task_id)) == 3000


async def test_what_a_restart_interrupts_is_said_once(place: Place) -> None:
    """The server goes and comes back, again and again, while a worker talks."""
    task_id = await place.create()
    texts = [f"note {number}" for number in range(200)]

    async def talk(link: Link) -> None:
        for number, text in enumerate(texts, 1):
            await link.append(notes(task_id, number, text))

    async def more_is_said(than: int) -> bool:
        return (await place.database.progress(task_id)).heard >= min(than + 20, len(texts))

    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            talking = asyncio.create_task(talk(link))
        restarts = 0
        while not talking.done():
            heard = (await place.database.progress(task_id)).heard
            async with place.server():
                await place.until(partial(more_is_said, heard))
            restarts += 1
        await talking
    assert restarts > 5
    assert await place.said(task_id) == texts


async def test_who_is_cancelled_has_said_it_all_the_same(place: Place) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id) as link:
        saying = asyncio.create_task(link.append(notes(task_id, 1, "one")))
        await asyncio.sleep(0)
        saying.cancel()
        # As a journal does: it says again what may not have arrived, with what is new.
        progress = await link.append(notes(task_id, 1, "one", "two"))
        assert progress.heard == 2
    assert await place.said(task_id) == ["one", "two"]


async def test_what_a_dead_worker_left_unsaid_is_said_by_the_next(place: Place) -> None:
    task_id = await place.create()
    unsaid = Unsaid(place.unsaid(task_id))
    unsaid.keep(notes(task_id, 1, "one", "two"))
    unsaid.close()
    async with place.server():
        async with place.link(task_id) as link:
            assert (await link.progress(task_id)).heard == 2
        async with place.link(task_id) as link:
            assert (await link.progress(task_id)).heard == 2
    assert await place.said(task_id) == ["one", "two"]


async def test_two_workers_of_one_machine_do_not_share_an_attempt(place: Place) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id):
        with pytest.raises(Unavailable, match="another process on this machine"):
            async with place.link(task_id):
                pass


async def test_a_second_worker_is_refused(place: Place) -> None:
    """Also by a server that was started in between, since who holds it is on disk."""
    task_id = await place.create()
    async with place.server(), place.link(task_id):
        with pytest.raises(Fenced, match="held by another worker"):
            async with place.link(task_id, holder="there"):
                pass
    async with place.server():
        with pytest.raises(Fenced, match="held by another worker"):
            async with place.link(task_id, holder="there"):
                pass
        async with place.link(task_id):
            pass
    assert (await place.see(task_id)).logs[0].metadata == {WORKER: "here"}


async def test_two_that_come_at_once_get_one_attempt(place: Place) -> None:
    task_id = await place.create()

    async def come(holder: str) -> str:
        try:
            async with place.link(task_id, holder=holder):
                return holder
        except Fenced:
            return ""

    async with place.server():
        came = await asyncio.gather(*(come(f"worker {n}") for n in range(8)))
    assert len(set(came) - {""}) == 1


@pytest.mark.parametrize("happens", ["cancel", "delete", "requeue"])
async def test_the_end_of_an_attempt_is_told_at_once(place: Place, happens: str) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id) as link:
        await link.append(notes(task_id, 1, "one"))
        if happens == "requeue":
            await place.say(Requeued(task_id, EPOCH, "gone"))
        else:
            await place.cancel(task_id)
        if happens == "delete":
            await place.database.delete(task_id)
        async with asyncio.timeout(1.0):
            why = await link.over()
        assert isinstance(why, InvalidTransition | Fenced | NotFound)
        with pytest.raises(type(why)):
            await link.append(notes(task_id, 2, "two"))


async def test_of_a_cancelled_task_the_last_words_are_kept(place: Place) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id) as link:
        await place.cancel(task_id)
        await link.over()
        assert (await link.progress(task_id)).state is State.CANCELED
        await link.append(Batch(task_id=task_id, events=(logged(task_id, "Canceled"),), fence=1))
    assert await place.said(task_id) == ["Canceled"]


async def test_its_own_end_is_no_news_to_a_worker(place: Place) -> None:
    task_id = await place.create()
    async with place.server(), place.link(task_id) as link:
        end = Batch(task_id=task_id, events=(moved(task_id, State.COMPLETE),), fence=1, first=1)
        assert (await link.append(end)).state is State.COMPLETE
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await link.over()
        assert link.task.state is State.COMPLETE


async def test_a_cancel_reaches_a_worker_that_only_prints(place: Place) -> None:
    """The answers to its own words do not hide it."""
    task_id = await place.create()

    async def print_on(link: Link) -> None:
        while True:
            await link.append(Batch(task_id=task_id, events=(logged(task_id, "on"),), fence=1))

    async with place.server(), place.link(task_id) as link:
        printing = asyncio.create_task(print_on(link))
        await asyncio.sleep(0.1)
        await place.cancel(task_id)
        async with asyncio.timeout(2.0):
            assert isinstance(await link.over(), InvalidTransition)
        printing.cancel()


async def test_nothing_comes_in_that_is_not_a_workers_to_say(place: Place) -> None:
    task_id, other = await place.create(), await place.create()
    async with place.server(), place.link(task_id) as link:
        for event in (
            logged(other, "hello"),
            Accepted(task_id, EPOCH, "mine"),
            MetadataAdded(task_id, EPOCH, {WORKER: "me"}),
        ):
            with pytest.raises(Invalid):
                await link.append(Batch(task_id=task_id, events=(event,), fence=1, first=1))
    assert await place.said(other) == []


@pytest.mark.parametrize("caller", ["other task", "other attempt", "node"])
async def test_a_worker_gets_no_attempt_but_its_own(
    place: Place, caller: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "funnel.audit")
    task_id = await place.create()
    place.caller = {
        "other task": Caller(name="", kind=Kind.WORKER, task_id=TaskId("other"), fence=1),
        "other attempt": Caller(name="", kind=Kind.WORKER, task_id=task_id, fence=2),
        "node": Caller(name="node", kind=Kind.NODE),
    }[caller]
    async with place.server():
        with pytest.raises(Denied):
            async with place.link(task_id):
                pass
    refused = [one.getMessage() for one in caplog.records if one.name == "funnel.audit"]
    assert [one.partition(" ")[0] for one in refused] == ["refused"] * (caller != "node")


async def test_tasks_of_the_servers_own_workers_are_not_given_away(place: Place) -> None:
    task_id = await place.create()
    async with place.server() as attendance:
        with pytest.raises(Denied, match="Compute: external"):
            await replace(attendance, queue="local").take(place.caller, task_id, 0, "here")


async def test_a_server_that_is_not_there_is_given_up(place: Place) -> None:
    async with place.server():
        task_id = await place.create()
    with pytest.raises(Unavailable):
        async with place.link(task_id, tries=2):
            pass


async def test_without_its_server_an_attempt_is_lost_at_the_end_of_its_lease(place: Place) -> None:
    place.terms = STEADY
    task_id = await place.create()
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            await link.authority()
        place.late = STEADY.lease
        async with asyncio.timeout(PATIENCE):
            assert "has not been heard of" in str(await link.over())
        with pytest.raises(Fenced):
            await link.authority()
        assert (await link.progress(task_id)).fence == 2


async def test_what_may_not_run_again_runs_on_and_publishes_nothing(place: Place) -> None:
    place.terms = STEADY
    task_id = await place.create()
    started = Batch(task_id=task_id, events=(ExecutorStarted(task_id, EPOCH, 0),), fence=1, first=1)
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            await link.append(started)
        place.late = STEADY.lease
        publishing = asyncio.create_task(link.authority())
        await asyncio.wait({publishing}, timeout=0.3)
        assert not publishing.done()
        async with place.server(), asyncio.timeout(PATIENCE):
            await publishing


async def test_a_silent_worker_loses_its_attempt(place: Place) -> None:
    """Nothing had started, so another worker gets the next one."""
    place.terms = STEADY
    task_id = await place.create()
    async with place.server() as attendance:
        given = await attendance.take(place.caller, task_id, 0, "here")
        silent(given, 2 * STEADY.lease)
        await place.until_attempt(task_id, 2)
        await place.say(Accepted(task_id, EPOCH, "2"))
        with pytest.raises(Fenced, match="is at attempt 2"):
            await attendance.take(place.caller, task_id, 1, "here")
        async with place.link(task_id, holder="there") as link:
            assert link.fence == 2


async def test_what_may_have_run_ends_when_its_worker_is_gone_for_good(place: Place) -> None:
    place.terms = STEADY
    task_id = await place.create()
    async with place.server() as attendance:
        given = await attendance.take(place.caller, task_id, 0, "here")
        await given.hold.append([ExecutorStarted(task_id, EPOCH, 0)], 1)
        silent(given, 2 * STEADY.lease)
        # Leases are looked at about once a second.
        await asyncio.sleep(1.5)
        assert attendance.holding == 1
        silent(given, 2 * STEADY.grace)
        task = await place.until_state(task_id, State.SYSTEM_ERROR)
        assert any("has not been heard of" in line for line in task.logs[0].system_logs)
        await place.until_holding(attendance, 0)


async def test_after_a_restart_each_worker_has_a_whole_lease(place: Place) -> None:
    place.terms = STEADY
    task_id = await place.create()
    async with place.server() as attendance:
        await attendance.take(place.caller, task_id, 0, "here")
    async with place.server() as attendance:
        await place.until_holding(attendance, 1)
        given = await attendance.take(place.caller, task_id, 0, "here")
        silent(given, 2 * STEADY.lease)
        await place.until_attempt(task_id, 2)
        await place.until_holding(attendance, 0)


async def test_a_worker_gets_another_token_before_the_one_it_has_is_over(place: Place) -> None:
    """Only who has come with one, and for the attempt that it was for."""
    task_id = await place.create()
    place.token = lambda task_id, fence: f"{task_id}/{fence}"
    async with AsyncExitStack() as stack:
        async with place.server():
            link = await stack.enter_async_context(place.link(task_id))
            assert place.shown == [""]
        place.caller = Caller(name="", kind=Kind.WORKER, task_id=task_id, fence=1)
        for texts in (["one"], ["two"]):
            async with place.server():
                heard = (await place.database.progress(task_id)).heard
                await link.append(notes(task_id, heard + 1, *texts))
    assert place.shown == ["", "", f"Bearer {task_id}/1"]
