"""Logs and events as they come, over a socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator

import httpx
import pytest
from asking import STEP, create
from listening import Heard, all_heard, heard, until, waited_for
from msgspec.structs import replace

from funnel.api import stream
from funnel.core.container import Stream
from funnel.core.event import Change, ExecutorExited, ExecutorStarted, Requeued
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.service.hub import Hub
from funnel.testing.build import EPOCH, batch, feed, logged, moved, printed

ENDED = Heard("", "end", {"state": "COMPLETE"})


@pytest.fixture
async def http(port: int) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as opened:
        yield opened


@pytest.fixture
async def made(http: httpx.AsyncClient) -> TaskId:
    return TaskId(await create(http, executors=[STEP, STEP]))


async def say(database: Database, *events: Change) -> None:
    await database.append(batch(*events))


def started(task_id: TaskId, index: int = 0) -> Change:
    return ExecutorStarted(task_id, EPOCH, index)


def exited(task_id: TaskId, index: int = 0) -> Change:
    return ExecutorExited(task_id, EPOCH, index, 0)


def oops(task_id: TaskId, text: str) -> Change:
    return replace(printed(task_id, text), stream=Stream.STDERR)


async def rest(texts: AsyncIterator[str]) -> str:
    return "".join([text async for text in texts])


async def test_a_log_is_what_is_kept_as_plain_text(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    await say(
        database, started(made), printed(made, "one\x1b[2J\r\n"), oops(made, "é<b>"), exited(made)
    )
    answer = await http.get(f"/v1/tasks/{made}/logs")
    assert answer.content == b"one\x1b[2J\r\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["funnel-log-start"] == "0"
    assert answer.headers["cache-control"] == "no-store"
    assert (await http.get(f"/tasks/{made}/logs?stream=stderr&follow=false")).text == "é<b>"
    assert (await http.get(f"/ga4gh/tes/v1/tasks/{made}/logs?executor=1")).text == ""


async def test_a_log_says_where_it_begins_when_its_beginning_was_given_up(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    for at in range(0, 100, 10):
        await say(database, printed(made, f"{at:09}\n", start=at, keep=20))
    answer = await http.get(f"/v1/tasks/{made}/logs")
    assert answer.headers["funnel-log-start"] == "80"
    assert answer.text == "000000080\n000000090\n"


async def test_a_log_is_followed_until_its_executor_has_ended(
    http: httpx.AsyncClient, database: Database, hub: Hub, made: TaskId
) -> None:
    path = f"/v1/tasks/{made}/logs?follow"
    async with http.stream("GET", path) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        texts = answer.aiter_text()
        await say(database, started(made), printed(made, "one "))
        assert await anext(texts) == "one "
        await say(database, printed(made, "one two ", start=0))
        assert await anext(texts) == "two "
        await say(database, oops(made, "not this"), printed(made, "three", start=8), exited(made))
        assert await rest(texts) == "three"
    assert (await http.get(path)).text == "one two three"
    await waited_for(hub, 0)


async def test_the_system_log_is_followed_until_its_attempt_has_ended(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    await say(database, logged(made, "first"), Requeued(made, EPOCH, "node lost"))
    path = f"/v1/tasks/{made}/logs?stream=system&follow=true"
    async with http.stream("GET", path) as answer:
        lines = answer.aiter_lines()
        await say(database, logged(made, "second"))
        assert "msg='second'" in await anext(lines)
        await say(database, logged(made, "third"), moved(made, State.COMPLETE))
        (last,) = [line async for line in lines]
    assert "msg='third'" in last
    (before,) = (await http.get(f"{path}&attempt=0")).text.splitlines()
    assert "msg='first'" in before
    task = (await http.get(f"/v1/tasks/{made}?view=FULL")).json()
    assert before == task["logs"][0]["system_logs"][0]


async def test_one_attempt_is_followed_and_not_the_next(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    await say(database, started(made), printed(made, "old"))
    async with http.stream("GET", f"/v1/tasks/{made}/logs?follow=1") as answer:
        texts = answer.aiter_text()
        assert await anext(texts) == "old"
        await say(database, Requeued(made, EPOCH, "lost"))
        assert await rest(texts) == ""
    await say(database, started(made), printed(made, "new"), moved(made, State.COMPLETE))
    assert (await http.get(f"/v1/tasks/{made}/logs?follow=1")).text == "new"
    assert (await http.get(f"/v1/tasks/{made}/logs?attempt=0")).text == "old"


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("attempt=1", 404, "has no attempt 1, the last is 0"),
        ("executor=2", 404, "has no executor 2, the last is 1"),
        ("executor=-1", 400, "executor: expected a number from 0 on, got '-1'"),
        ("attempt=all", 400, "attempt: expected a number from 0 on, got 'all'"),
        ("follow=maybe", 400, "follow: expected true or false, got 'maybe'"),
        ("stream=stdot", 400, "stream: 'stdot' is not a stream, did you mean stdout?"),
        ("stream=stdout,stderr", 400, "stream: expected one of stdout, stderr and system"),
    ],
)
async def test_a_log_that_is_not_there_is_named(
    http: httpx.AsyncClient, made: TaskId, query: str, status: int, says: str
) -> None:
    answer = await http.get(f"/v1/tasks/{made}/logs?{query}")
    assert answer.status_code == status
    assert says in answer.json()["error"]


async def test_streams_of_no_task_are_not_found(http: httpx.AsyncClient) -> None:
    for path in ("tasks/none/logs", "tasks/none/events", "tasks//logs", "tasks/a/b/logs"):
        assert (await http.get(f"/v1/{path}")).status_code == 404
    assert (await http.post("/v1/events")).status_code == 405


async def test_a_task_tells_its_events_from_the_first_to_the_end(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    async with http.stream("GET", f"/v1/tasks/{made}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        news = heard(answer)
        first = await anext(news)
        assert (first.kind, first.data["kind"], first.data["task_id"]) == (
            *("created", "created"),
            made,
        )
        await say(database, started(made), printed(made, "not told"))
        assert (await anext(news)).data == {
            "kind": "executorstarted",
            "task_id": made,
            "at": "2026-01-01T00:00:00Z",
            "index": 0,
        }
        await say(database, exited(made), moved(made, State.COMPLETE))
        last = [one async for one in news]
    assert [one.kind for one in last] == ["executorexited", "statechanged", "end"]
    assert last[1].data["state"] == "COMPLETE"
    assert last[2] == ENDED


async def test_who_comes_back_hears_the_rest_and_then_nothing_more(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    await say(database, *(logged(made, str(n)) for n in range(450)), moved(made, State.COMPLETE))
    path = f"/v1/tasks/{made}/events"
    whole = await all_heard(http, path)
    assert len(whole) == 453
    ids = [int(one.id) for one in whole[:-1]]
    assert ids == sorted(set(ids))
    for at in (0, 1, 230, 450):
        header = {"Last-Event-ID": whole[at].id}
        assert await all_heard(http, path, **header) == whole[at + 1 :]
        assert await all_heard(http, f"{path}?after={whole[at].id}") == whole[at + 1 :]
    over = await http.get(path, headers={"Last-Event-ID": whole[-2].id})
    assert (over.status_code, over.content) == (204, b"")


async def test_output_is_told_where_it_is_asked_for_before_its_executor_exits(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    path = f"/v1/tasks/{made}/events?output=true"
    async with http.stream("GET", path) as answer:
        news = heard(answer)
        assert (await anext(news)).kind == "created"
        await say(database, started(made), printed(made, "one "))
        both = {one.kind: one for one in (await anext(news), await anext(news))}
        assert set(both) == {"executorstarted", "printed"}
        piece = both["printed"]
    assert piece.data == {
        "kind": "printed",
        "task_id": made,
        "attempt": 0,
        "executor": 0,
        "stream": "stdout",
        "start": 0,
        "end": 4,
        "text": "one ",
    }
    await say(database, printed(made, "two", start=4), oops(made, "err"), exited(made))
    await say(database, Requeued(made, EPOCH, "again"), printed(made, "more", index=1))
    await say(database, moved(made, State.COMPLETE))
    whole = await all_heard(http, path)
    assert printed_in(whole) == [
        (0, "stderr", 0, "err"),
        (0, "stdout", 0, "one two"),
        (1, "stdout", 0, "more"),
    ]
    assert printed_in(await all_heard(http, path, **{"Last-Event-ID": piece.id})) == [
        (0, "stderr", 0, "err"),
        (0, "stdout", 4, "two"),
        (1, "stdout", 0, "more"),
    ]
    kinds = [one.kind for one in whole]
    assert kinds.index("printed") < kinds.index("executorexited")
    for at, one in enumerate(whole[:-2]):
        assert await all_heard(http, path, **{"Last-Event-ID": one.id}) == whole[at + 1 :]
    over = await http.get(path, headers={"Last-Event-ID": whole[-2].id})
    assert over.status_code == 204


def printed_in(news: list[Heard]) -> list[tuple[int, str, int, str]]:
    return [
        (one.data["attempt"], one.data["stream"], one.data["start"], one.data["text"])
        for one in news
        if one.kind == "printed"
    ]


async def test_all_tasks_are_told_of_from_now_on_or_from_the_start(
    http: httpx.AsyncClient, database: Database, made: TaskId
) -> None:
    async with http.stream("GET", "/v1/events") as answer:
        news = heard(answer)
        other = TaskId(await create(http))
        first = await anext(news)
        assert (first.kind, first.data["task_id"]) == ("created", other)
        await say(database, moved(made, State.RUNNING))
        second = await anext(news)
        assert (second.kind, second.data["task_id"]) == ("statechanged", made)
    async with http.stream("GET", "/v1/events?after=0") as answer:
        news = heard(answer)
        whole = [await anext(news) for _ in range(3)]
        assert [one.data["task_id"] for one in whole] == [made, other, made]
        assert whole[1:] == [first, second]
    async with http.stream("GET", "/events", headers={"Last-Event-ID": first.id}) as answer:
        assert await anext(heard(answer)) == second


async def test_nothing_is_missed_or_told_twice_while_much_happens(
    http: httpx.AsyncClient, database: Database
) -> None:
    async def life(number: int) -> None:
        made = TaskId(await create(http, name=str(number)))
        for state in (State.RUNNING, State.COMPLETE):
            await say(database, moved(made, state))

    async with http.stream("GET", "/v1/events") as answer:
        news = heard(answer)
        living = asyncio.gather(*(life(number) for number in range(200)))
        ids = [int((await anext(news)).id) for _ in range(600)]
        await living
    assert ids == [one.position for one in await feed(database)]


@pytest.mark.parametrize("place", ["x", "1-2", "1-2-3-4-x", "9" * 19, "-1"])
async def test_a_place_that_is_not_ours_is_refused(
    http: httpx.AsyncClient, made: TaskId, place: str
) -> None:
    answer = await http.get(f"/v1/tasks/{made}/events", headers={"Last-Event-ID": place})
    assert answer.status_code == 400
    assert "is not from this server" in answer.json()["error"]


async def test_a_head_has_no_stream(http: httpx.AsyncClient, hub: Hub, made: TaskId) -> None:
    for path in (f"tasks/{made}/events", f"tasks/{made}/logs?follow=1", "events"):
        answer = await http.head(f"/v1/{path}")
        assert (answer.status_code, answer.content) == (200, b"")
    await waited_for(hub, 0)


async def test_the_end_of_the_server_ends_events_and_breaks_off_logs(
    http: httpx.AsyncClient, hub: Hub, made: TaskId
) -> None:
    async with (
        http.stream("GET", f"/v1/tasks/{made}/events") as events,
        http.stream("GET", "/v1/events") as everything,
        http.stream("GET", f"/v1/tasks/{made}/logs?follow=true") as logs,
    ):
        await waited_for(hub, 3)
        hub.close()
        assert [one.kind async for one in heard(events)] == ["created"]
        assert [one.kind async for one in heard(everything)] == []
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await logs.aread()
    assert hub.waiting == 0


async def test_who_reads_nothing_is_dropped_and_can_come_back(
    port: int,
    http: httpx.AsyncClient,
    database: Database,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "STALLED", 0.2)
    made = TaskId(await create(http))
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", port))
        lazy.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: funnel\r\n\r\n")
        await waited_for(hub, 1)
        for _ in range(100):
            await say(database, *(logged(made, "x" * 10_000) for _ in range(10)))
        await until(lambda: hub.waiting == 0)
    async with http.stream("GET", "/v1/events?after=1") as answer:
        news = heard(answer)
        assert [(await anext(news)).kind for _ in range(1000)] == ["logged"] * 1000
