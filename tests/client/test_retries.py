"""What a client does again, and what its errors say."""

import asyncio

import pytest
from aiohttp import web
from scripted import Server, client, error

from funnel.client.http import AsyncClient
from funnel.core.error import Busy, FunnelError, Invalid, NoSpace, Problem, Unavailable
from funnel.core.query import View
from funnel.core.state import State
from funnel.testing.build import spec

QUEUED = web.json_response({"id": "t", "state": "QUEUED"})
DONE = web.json_response({"id": "t", "state": "COMPLETE"})
DATES = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2026 07:28:01 GMT"}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("headers", [{"Retry_After": "1"}, DATES])
async def test_a_server_is_left_alone_as_long_as_it_asks(
    status: int, headers: dict[str, str]
) -> None:
    clock = asyncio.get_running_loop().time
    server = Server(error(status, "busy", **headers), QUEUED)
    async with client(server) as opened:
        began = clock()
        assert (await opened.get("t")).state is State.QUEUED
    assert clock() - began >= 1
    assert len(server.asked) == 2


async def test_nobody_waits_for_a_server_that_asks_for_an_hour() -> None:
    server = Server(error(503, "closed", Retry_After="3600"))
    async with client(server) as opened:
        with pytest.raises(Unavailable, match="closed") as caught:
            await opened.get("t")
    assert caught.value.retry_after == 3600
    assert len(server.asked) == 1


async def test_a_wait_too_leaves_a_busy_server_alone() -> None:
    clock = asyncio.get_running_loop().time
    server = Server(QUEUED, error(429, "too many", Retry_After="1"), DONE)
    async with client(server) as opened:
        began = clock()
        assert (await opened.wait("t", view=View.MINIMAL)).state is State.COMPLETE
    assert clock() - began >= 1
    assert ["wait" in one.query for one in server.asked] == [False, True, False]


async def test_an_error_has_the_status_the_code_and_the_problems_of_the_answer() -> None:
    said = {
        "error": "invalid task message",
        "code": "INVALID_ARGUMENT",
        "problems": [{"field": "executors[0].image", "message": "required, but empty"}],
    }
    async with client(Server(web.json_response(said, status=400))) as opened:
        with pytest.raises(Invalid) as caught:
            await opened.create(spec())
    assert (caught.value.status, caught.value.code) == (400, "INVALID_ARGUMENT")
    assert caught.value.problems == (Problem("executors[0].image", "required, but empty"),)


@pytest.mark.parametrize("problems", [None, 3, ["x"], [{"field": 1}]])
async def test_problems_in_another_shape_are_none(problems: object) -> None:
    said = {"error": "no", "problems": problems, "code": 7}
    async with client(Server(web.json_response(said, status=400))) as opened:
        with pytest.raises(Invalid) as caught:
            await opened.create(spec())
    assert (caught.value.problems, caught.value.code) == ((), "")


async def test_what_is_no_answer_has_no_status() -> None:
    async with AsyncClient("127.0.0.1:1") as opened:
        with pytest.raises(Unavailable) as caught:
            await opened.get("t")
    assert (caught.value.status, caught.value.code) == (0, "")


@pytest.mark.parametrize(("status", "kind"), [(507, NoSpace), (429, Busy), (500, FunnelError)])
async def test_kinds_of_errors_keep_their_status(status: int, kind: type[FunnelError]) -> None:
    async with client(Server(error(status, "because"))) as opened:
        with pytest.raises(kind) as caught:
            await opened.cancel("t")
    assert (type(caught.value), caught.value.status) == (kind, status)
