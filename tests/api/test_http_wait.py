"""Waiting for a task in one request, over a socket."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from asking import create, get
from doors import LIMITS, door, served
from listening import until, waited_for
from msgspec.structs import replace

from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.hub import Hub
from funnel.testing.build import batch, logged, moved

MANY = 500


@pytest.fixture
async def http(port: int) -> AsyncGenerator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=30) as opened:
        yield opened


def wait(
    http: httpx.AsyncClient, task_id: str, query: str = "wait=30s"
) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(http.get(f"/v1/tasks/{task_id}?{query}"))


@pytest.mark.parametrize("view", ["MINIMAL", "BASIC", "FULL"])
async def test_the_answer_comes_with_the_end_and_is_the_usual_one(
    http: httpx.AsyncClient, database: Database, hub: Hub, view: str
) -> None:
    made = await create(http)
    waiting = wait(http, made, f"wait=30s&view={view}")
    await waited_for(hub)
    await database.append(batch(logged(TaskId(made), "x"), moved(TaskId(made), State.RUNNING)))
    assert not waiting.done()
    await database.append(batch(moved(TaskId(made), State.COMPLETE)))
    answer = await waiting
    assert answer.status_code == 200
    assert answer.headers["funnel-waited"] == "true"
    assert answer.json() == await get(http, made, view)
    assert answer.json()["state"] == "COMPLETE"
    assert hub.waiting == 0


async def test_a_state_on_the_way_can_be_waited_for(
    http: httpx.AsyncClient, database: Database, hub: Hub
) -> None:
    made = await create(http)
    waiting = wait(http, made, "wait=30&until=INITIALIZING,RUNNING")
    await waited_for(hub)
    await database.append(batch(moved(TaskId(made), State.RUNNING)))
    assert (await waiting).json() == {"id": made, "state": "RUNNING"}


async def test_a_task_that_can_change_no_more_is_not_waited_for(
    http: httpx.AsyncClient, database: Database
) -> None:
    made = await create(http)
    await database.append(batch(moved(TaskId(made), State.CANCELED)))
    answer = await wait(http, made, "wait=30s&until=RUNNING")
    assert answer.json()["state"] == "CANCELED"


async def test_a_wait_comes_to_its_end_even_beyond_the_time_for_answers(
    database: Database, metrics: Metrics
) -> None:
    app = door(database, metrics, replace(LIMITS, answer_seconds=1))
    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        made = await create(http)
        answer = await wait(http, made, "wait=1500ms")
        page = (await http.get("/metrics")).text
    assert answer.json() == {"id": made, "state": "QUEUED"}
    assert answer.headers["funnel-waited"] == "true"
    (took,) = [
        float(line.split()[1])
        for line in page.splitlines()
        if line.startswith('funnel_http_request_seconds_sum{method="GET",route="/tasks/{id}"}')
    ]
    assert took < 1


async def test_without_a_wait_nothing_is_added(http: httpx.AsyncClient) -> None:
    made = await create(http)
    answer = await http.get(f"/v1/tasks/{made}?until=RUNNING")
    assert answer.json() == {"id": made, "state": "QUEUED"}
    assert "funnel-waited" not in answer.headers
    assert (await http.get("/v1/tasks/none?wait=30s")).status_code == 404


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("wait=soon", "wait", "'soon' is not a duration, write it as in 10s"),
        ("wait=", "wait", "'' is not a duration"),
        ("wait=-5s", "wait", "expected a duration that is not negative, got -5s"),
        ("wait=1s&until=RUNING", "until", "'RUNING' is not a state, did you mean RUNNING?"),
        ("wait=1s&until=,", "until", "'' is not a state, expected one of UNKNOWN, "),
        ("wait=1s&until=QUEUED,x", "until", "'x' is not a state, expected one of UNKNOWN, "),
    ],
)
async def test_what_cannot_be_waited_for_is_named(
    http: httpx.AsyncClient, query: str, field: str, says: str
) -> None:
    answer = await wait(http, await create(http), query)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert problem["field"] == field
    assert problem["message"].startswith(says)


async def test_too_many_who_wait_are_asked_to_come_again(database: Database) -> None:
    hub = Hub(database, most=1)
    async with (
        served(door(database, hub=hub)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        made = await create(http)
        first = wait(http, made)
        await waited_for(hub)
        for path in (f"tasks/{made}?wait=1s", f"tasks/{made}/events", f"tasks/{made}/logs"):
            answer = await http.get(f"/v1/{path}")
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        await database.append(batch(moved(TaskId(made), State.COMPLETE)))
        assert (await first).status_code == 200
        assert (await wait(http, made)).status_code == 200


async def test_of_those_who_hang_up_nothing_is_left(
    http: httpx.AsyncClient, database: Database, hub: Hub, port: int
) -> None:
    made = await create(http)
    await http.get("/healthz")
    before = asyncio.all_tasks()
    paths = [f"tasks/{made}?wait=60s", f"tasks/{made}/events", f"tasks/{made}/logs?follow=true"]
    lines = [f"GET /v1/{paths[at % 3]} HTTP/1.1\r\nHost: funnel\r\n\r\n" for at in range(MANY)]
    writers: list[asyncio.StreamWriter] = []
    for line in lines:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line.encode())
        writers.append(writer)
    await waited_for(hub, MANY)
    assert len(asyncio.all_tasks() - before) >= MANY
    for writer in writers:
        writer.transport.abort()
    await waited_for(hub, 0)
    await until(lambda: not asyncio.all_tasks() - before)
    await database.append(batch(moved(TaskId(made), State.COMPLETE)))
    assert (await wait(http, made)).status_code == 200


async def test_the_end_of_the_server_answers_all_who_wait(
    http: httpx.AsyncClient, hub: Hub
) -> None:
    made = await create(http)
    waiting = [wait(http, made) for _ in range(20)]
    await waited_for(hub, 20)
    hub.close()
    answers = await asyncio.gather(*waiting)
    assert [one.json()["state"] for one in answers] == ["QUEUED"] * 20
    for path in (f"tasks/{made}/events", f"tasks/{made}/logs?follow=true", "events"):
        answer = await http.get(f"/v1/{path}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
