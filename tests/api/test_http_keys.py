"""Creating once, however often it is asked for: the `Idempotency-Key` header."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from asking import STEP, listed
from doors import client, door

from funnel.client.http import AsyncClient
from funnel.core.error import Conflict
from funnel.database.sqlite import Settings, make
from funnel.plugins import Host
from funnel.testing.build import EPOCH, spec

WEEK = timedelta(days=7)
MINUTE = timedelta(minutes=1)
TASK = {"name": "n", "executors": [STEP]}


@asynccontextmanager
async def server_at(folder: Path, time: datetime) -> AsyncGenerator[httpx.AsyncClient]:
    """A server that was started at this time, on a database that may have been there before."""
    host = Host(now=lambda: time, deployment="test")
    async with (
        make(Settings(path=f"{folder}/funnel.db"), host) as database,
        client(door(database)) as http,
    ):
        yield http


async def made(http: httpx.AsyncClient, key: str, **given: object) -> httpx.Response:
    return await http.post("/v1/tasks", json={**TASK, **given}, headers={"Idempotency-Key": key})


async def test_of_many_at_once_one_creates(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answers = await asyncio.gather(*(made(http, "k") for _ in range(20)))
        assert {one.status_code for one in answers} == {200}
        (task_id,) = {one.json()["id"] for one in answers}
        assert await listed(http) == [task_id]


async def test_of_many_different_ones_at_once_one_wins(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answers = await asyncio.gather(*(made(http, "k", name=str(n)) for n in range(20)))
        assert sorted(one.status_code for one in answers) == [200, *[409] * 19]
        assert len(await listed(http)) == 1


async def test_a_key_outlives_the_server_for_a_week_and_no_longer(tmp_path: Path) -> None:
    async with server_at(tmp_path, EPOCH) as http:
        first = (await made(http, "k")).json()
    async with server_at(tmp_path, EPOCH + WEEK - MINUTE) as http:
        assert (await made(http, "k")).json() == first
        assert (await made(http, "k", name="other")).status_code == 409
    async with server_at(tmp_path, EPOCH + WEEK + MINUTE) as http:
        other = await made(http, "k", name="other")
        assert other.status_code == 200
        assert await listed(http) == [other.json()["id"], first["id"]]


async def test_the_same_task_may_be_written_in_another_way(http: httpx.AsyncClient) -> None:
    first = await made(http, "k", tags={"a": "b"}, resources={"cpu_cores": 2})
    again = await made(http, "k", tags={"a": "b", "c": None}, resources={"cpuCores": "2"})
    assert again.json() == first.json()


@pytest.mark.parametrize("key", ["k", "k" * 255, "ключ".encode().decode("latin-1"), "k k", "'"])
async def test_keys_are_any_text_and_each_is_its_own(http: httpx.AsyncClient, key: str) -> None:
    def asking(name: str) -> httpx.Request:
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        return http.build_request("POST", "/v1/tasks", json={**TASK, "name": name}, headers=headers)

    first, again, other = [await http.send(asking(name)) for name in ("a", "a", "b")]
    assert first.json() == again.json()
    assert other.status_code == 409
    assert (await made(http, "another")).json() != first.json()


async def test_without_a_key_each_request_creates(http: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await http.post("/v1/tasks", json=TASK)).status_code == 200
    assert len(await listed(http)) == 2


@pytest.mark.parametrize(
    ("keys", "why"),
    [([""], "is empty"), (["a", "a"], "more than once"), (["a", ""], "once")],
)
async def test_a_key_that_says_nothing_or_two_things_is_refused(
    http: httpx.AsyncClient, keys: list[str], why: str
) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    answer = await http.post("/v1/tasks", json=TASK, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]
    assert why in answer.json()["error"]
    assert await listed(http) == []


async def test_a_refused_task_leaves_its_key_free(http: httpx.AsyncClient) -> None:
    assert (await made(http, "k", executors=[])).status_code == 400
    assert (await made(http, "k")).status_code == 200


async def test_our_client_creates_once_though_the_answer_is_lost(port: int) -> None:
    lost = 2

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lost
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        to_server.write(await reader.readuntil(b"]}]}"))
        answer = await from_server.readuntil(b"}")
        if lost:
            lost -= 1
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()
        to_server.close()

    between = await asyncio.start_server(carry, "127.0.0.1", 0)
    where = between.sockets[0].getsockname()[1]
    async with between, AsyncClient(f"127.0.0.1:{where}") as opened:
        task_id = await opened.create(spec())
    assert lost == 0
    async with AsyncClient(f"127.0.0.1:{port}") as opened:
        assert [task.id async for task in opened.list()] == [task_id]
        assert await opened.create(spec(), key="mine") == await opened.create(spec(), key="mine")
        with pytest.raises(Conflict):
            await opened.create(spec(name="other"), key="mine")
