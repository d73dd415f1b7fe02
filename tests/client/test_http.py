import asyncio
import base64

import pytest
from aiohttp import web
from scripted import Server, client, error

from funnel.client.address import address
from funnel.client.given import TRIES
from funnel.client.http import AsyncClient
from funnel.core.error import (
    Conflict,
    Denied,
    FunnelError,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.testing.build import spec

GO_ON = "t"
WORD = "pä"


async def test_a_task_is_created_with_a_key_of_its_own() -> None:
    server = Server(web.json_response({"id": "t1"}))
    async with client(server) as opened:
        assert await opened.create(spec(name="x")) == "t1"
        assert await opened.create(spec(name="x")) == "t1"
    first, second = (request.headers["Idempotency-Key"] for request in server.asked)
    assert first != second
    assert server.asked[0].path == "/v1/tasks"
    assert server.bodies[0] == b'{"name":"x","executors":[{"image":"alpine","command":["true"]}]}'


async def test_a_repeated_create_carries_the_same_key() -> None:
    server = Server(error(503, "busy"), error(429, "busy"), web.json_response({"id": "t1"}))
    async with client(server) as opened:
        await opened.create(spec())
    keys = {request.headers["Idempotency-Key"] for request in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)
    assert len(set(server.bodies)) == 1


async def test_tries_come_to_an_end() -> None:
    server = Server(error(503, "closed for today"))
    async with client(server) as opened:
        with pytest.raises(Unavailable, match="closed for today"):
            await opened.get("t")
    assert len(server.asked) == TRIES


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Denied),
        (404, NotFound),
        (409, Conflict),
        (413, TooLarge),
        (500, FunnelError),
    ],
)
async def test_a_refusal_is_not_repeated_and_says_what_the_server_said(
    status: int, kind: type[FunnelError]
) -> None:
    server = Server(error(status, "because"))
    async with client(server) as opened:
        with pytest.raises(kind, match="because") as caught:
            await opened.cancel("t")
    assert type(caught.value) is kind
    assert len(server.asked) == 1


async def test_what_is_no_tes_server_is_told() -> None:
    async with client(Server(web.Response(status=404, text="<html>"))) as opened:
        with pytest.raises(NotFound, match="answered 404: is it a TES server"):
            await opened.get("t")
    async with client(Server(web.Response(text="<html>"))) as opened:
        with pytest.raises(FunnelError, match="does not speak TES: its answer is not JSON"):
            await opened.get("t")
    async with client(Server(web.json_response({"hello": "you"}))) as opened:
        with pytest.raises(FunnelError, match="the server's answer is not TES"):
            await opened.get("t")


async def test_a_connection_that_breaks_is_opened_again() -> None:
    async def dropped(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    server = Server(dropped, web.json_response({"id": "t", "state": "QUEUED"}))
    async with client(server) as opened:
        assert (await opened.get("t")).state is State.QUEUED


async def test_an_answer_that_takes_too_long_is_an_error() -> None:
    over = asyncio.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    server = Server(slow)
    async with client(server, patience=0.5) as opened:
        with pytest.raises(Unavailable, match="does not answer"):
            await opened.get("t")
        over.set()
    assert len(server.asked) == TRIES


async def test_no_server_at_all_is_told_with_the_way_out() -> None:
    async with AsyncClient("127.0.0.1:1") as opened:
        with pytest.raises(Unavailable) as caught:
            await opened.get("t")
    assert str(caught.value) == (
        "no server answers at http://127.0.0.1:1: name another with --server or FUNNEL_SERVER,"
        " or start one with `funnel server run`"
    )


async def test_lists_that_other_servers_leave_out_of_an_attempt_are_empty() -> None:
    task = {"id": "t", "state": "RUNNING", "logs": [{"logs": [{"stdout": "hi"}]}, {}]}
    server = Server(
        web.json_response(task),
        web.json_response({"tasks": [task]}),
        web.json_response({"id": "t", "state": "QUEUED", "logs": None}),
    )
    async with client(server) as opened:
        one = await opened.get("t")
        [listed] = [task async for task in opened.list(view=View.FULL)]
        assert (await opened.get("t")).logs == ()
    assert one == listed
    first, second = one.logs
    assert [log.stdout for log in first.logs] == ["hi"]
    assert (first.outputs, second.logs, second.outputs) == ((), (), ())


async def test_nulls_and_unknown_fields_of_other_servers_are_read() -> None:
    found: dict[str, object] = {
        "id": "t",
        "state": "COMPLETE",
        "inputs": None,
        "tags": {"a": None, "b": "c"},
        "executors": [{"image": "i", "command": ["c"], "env": None, "extra": 1}],
        "logs": [{"logs": [], "outputs": [], "start_time": None}],
    }
    async with client(Server(web.json_response(found))) as opened:
        task = await opened.get("t")
    assert (task.inputs, task.tags, task.state) == ((), {"b": "c"}, State.COMPLETE)


async def test_filters_and_pages_are_asked_for_in_tes_words() -> None:
    server = Server(web.json_response({"next_page_token": "n"}))
    tags = [("a", "1"), ("b", "")]
    async with client(server) as opened:
        page = await anext(
            opened.pages(
                state=State.RUNNING, tags=tags, name_prefix="p q", page_size=3, page_token=GO_ON
            )
        )
        await anext(opened.pages(view=View.MINIMAL))
    assert (page.tasks, page.next_page_token) == ((), "n")
    assert list(server.asked[0].query.items()) == [
        ("view", "BASIC"),
        ("page_size", "3"),
        ("state", "RUNNING"),
        ("name_prefix", "p q"),
        ("tag_key", "a"),
        ("tag_value", "1"),
        ("tag_key", "b"),
        ("tag_value", ""),
        ("page_token", GO_ON),
    ]
    assert dict(server.asked[1].query) == {"view": "MINIMAL"}


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    server = Server(web.json_response({}))
    async with client(server) as opened:
        await opened.cancel("../a b/c?d")
    assert server.asked[0].raw_path == "/v1/tasks/..%2Fa%20b%2Fc%3Fd:cancel"


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/v1/tasks/t"),
        ("/", "/v1/tasks/t"),
        ("/ga4gh/tes/v1/", "/ga4gh/tes/v1/tasks/t"),
        ("/v1/tasks", "/v1/tasks/t"),
        ("/behind/a/proxy", "/behind/a/proxy/v1/tasks/t"),
    ],
)
async def test_a_server_may_be_below_a_path(suffix: str, path: str) -> None:
    server = Server(web.json_response({"id": "t", "state": "QUEUED"}))
    async with client(server, suffix=suffix) as opened:
        await opened.get(TaskId("t"))
    assert server.asked[0].path == path


async def test_who_is_asking_is_said_only_when_it_is_known() -> None:
    server = Server(web.json_response({"id": "t", "state": "QUEUED"}))
    async with client(server) as opened:
        await opened.get("t")
        base = opened.server.shown
        async with AsyncClient(base, user="ann", password=WORD) as named:
            await named.get("t")
        async with AsyncClient(base.replace("//", "//bob:p%40@")) as named:
            await named.get("t")
            assert named.server.shown == base
    said = [request.headers.get("Authorization") for request in server.asked]
    ann, bob = (base64.b64encode(one.encode()).decode() for one in ("ann:pä", "bob:p@"))
    assert said == [None, f"Basic {ann}", f"Basic {bob}"]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("localhost:8000", "http://localhost:8000/v1"),
        ("https://tes.example", "https://tes.example/v1"),
        ("http://[::1]:80/", "http://[::1]:80/v1"),
    ],
)
def test_addresses_are_completed(text: str, base: str) -> None:
    assert address(text).base == base


@pytest.mark.parametrize("text", ["ftp://x", "http://", "http://x:port", "unix:///run/x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        address(text)
