"""Waiting and hearing, from a server that says what the test wants."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from funnel.client.events import TRIES, News, NoStreams
from funnel.client.http import AsyncClient
from funnel.core.error import FunnelError, Unavailable
from funnel.core.query import View
from funnel.core.state import State

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client(*answers: Answer) -> AsyncGenerator[tuple[AsyncClient, list[web.Request]]]:
    """The last answer is given again and again."""
    asked: list[web.Request] = []
    left = chain(answers, repeat(answers[-1]))

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return await next(left)(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, AsyncClient(str(server.make_url("/"))) as opened:
        yield opened, asked


def task(state: State, *, waited: bool = True, status: int = 200) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Funnel-Waited": "true"} if waited and "wait" in request.query else None
        said = {"id": "t", "state": state} if status == 200 else {"error": "no"}
        return web.json_response(said, headers=headers, status=status)

    return answer


def stream(*pieces: bytes, ends: bool = True, kind: str = "text/event-stream") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if not ends:
            assert request.transport
            request.transport.abort()
        return response

    return answer


def fails(status: int) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "because"}, status=status)

    return answer


async def over(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def event(number: int, kind: str = "logged", text: str = "x") -> bytes:
    return f'id: {number}\nevent: {kind}\ndata: {{"text":"{text}"}}\n\n'.encode()


END = b'event: end\ndata: {"state":"COMPLETE"}\n\n'


async def hear(opened: AsyncClient) -> list[News]:
    return [one async for one in opened.told("t")]


async def test_a_server_that_waits_is_asked_no_more_than_it_must_be() -> None:
    async with client(task(State.QUEUED), task(State.RUNNING)) as (opened, asked):
        found = await opened.wait("t", until={State.RUNNING}, view=View.MINIMAL)
    assert found.state is State.RUNNING
    assert [dict(one.query) for one in asked] == [
        {"view": "MINIMAL"},
        {
            "view": "MINIMAL",
            "wait": "30s",
            "until": "CANCELED,COMPLETE,EXECUTOR_ERROR,PREEMPTED,RUNNING,SYSTEM_ERROR",
        },
    ]


async def test_a_server_that_does_not_wait_is_asked_again_after_a_pause() -> None:
    queued, done = (task(one, waited=False) for one in (State.QUEUED, State.COMPLETE))
    async with client(queued, queued, queued, done) as (opened, asked):
        began = asyncio.get_running_loop().time()
        assert (await opened.wait("t", view=View.MINIMAL)).state is State.COMPLETE
        assert asyncio.get_running_loop().time() - began > 0.1
    assert len(asked) == 4


async def test_an_answer_that_comes_too_soon_does_not_make_us_ask_without_pause() -> None:
    async with client(task(State.QUEUED), task(State.QUEUED)) as (opened, asked):
        with pytest.raises(TimeoutError, match=r"task t takes longer than 0\.5 s"):
            await opened.wait("t", timeout=0.5)
    assert len(asked) < 8


@pytest.mark.parametrize("status", [400, 429, 503, 504])
async def test_where_a_wait_is_refused_a_plain_look_goes_on(status: int) -> None:
    refuses = task(State.QUEUED, status=status)
    async with client(task(State.QUEUED), refuses, task(State.CANCELED)) as (opened, asked):
        assert (await opened.wait("t", view=View.MINIMAL)).state is State.CANCELED
    assert ["wait" in one.query for one in asked] == [False, True, False]


async def test_what_breaks_off_goes_on_where_it_was() -> None:
    answers = (
        stream(event(1), event(2), b"id: 3\nevent: log", ends=False),
        fails(503),
        stream(event(3)),
        stream(b": still here\n\n", event(4, text="é"), END),
    )
    async with client(*answers) as (opened, asked):
        news = await hear(opened)
    assert [one.id for one in news] == ["1", "2", "3", "4"]
    assert news[-1] == News("4", "logged", {"text": "é"})
    assert [one.headers.get("Last-Event-ID") for one in asked] == [None, "2", "2", "3"]


async def test_letters_may_be_torn_apart_on_the_way() -> None:
    sent = b"".join([event(1, text="é漢"), event(2), END])
    pieces = [sent[at : at + 3] for at in range(0, len(sent), 3)]
    async with client(stream(*pieces)) as (opened, _):
        assert [one.data["text"] for one in await hear(opened)] == ["é漢", "x"]


async def test_a_stream_that_was_heard_to_its_end_is_not_asked_for_more() -> None:
    async with client(stream(event(1)), over) as (opened, asked):
        assert [one.id for one in await hear(opened)] == ["1"]
    assert len(asked) == 2


@pytest.mark.parametrize(
    "answer", [fails(404), fails(400), fails(429), stream(b"<html>", kind="text/html")]
)
async def test_a_server_without_streams_is_recognised(answer: Answer) -> None:
    async with client(answer) as (opened, asked):
        with pytest.raises(NoStreams):
            await hear(opened)
    assert len(asked) == 1


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with client(fails(503)) as (opened, asked):
        with pytest.raises(Unavailable, match="because"):
            await hear(opened)
    assert len(asked) == TRIES + 1


async def test_a_fault_of_the_server_is_told() -> None:
    async with client(fails(500)) as (opened, _):
        with pytest.raises(FunnelError, match="because"):
            await hear(opened)
