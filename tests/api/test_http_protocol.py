"""HTTP/1.1 as it may come: in pieces, ahead of time, from old clients, from clients that leave."""

import asyncio
import math
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import uvloop
from asking import say
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import until
from msgspec.structs import replace

from funnel.api.answer import Answer, Reply, refusal
from funnel.api.connection import AHEAD, BUFFER, READ_AHEAD
from funnel.api.listen import Door
from funnel.api.request import Gone, Request
from funnel.api.settings import Connections
from funnel.api.stream import Stream
from funnel.core.error import FunnelError
from funnel.ports import unheard

LIMITS = Connections(head=4096, header_seconds=30, idle_seconds=30)
LARGE = 8 * 2**20
"""More than the system takes of an answer that nobody reads."""
LAST = b"Host: x\r\nConnection: close\r\n\r\n"


class Echo:
    """Says what it was asked; at `/slow`, once it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.asked = list[str]()
        self.left = list[str]()

    async def __call__(self, request: Request, reply: Reply) -> None:
        self.asked.append(request.path)
        try:
            answer = await self._answer(request)
            await answer.send(reply)
        except FunnelError as error:
            await refusal(error).send(reply)
        except Gone:
            self.left.append(request.path)
            raise

    async def _answer(self, request: Request) -> Answer:
        size = 0
        if request.path == "/late":
            await self.may.wait()
        while request.path != "/unread" and (piece := await request.read()):
            size += len(piece)
        if request.path == "/slow":
            await self.may.wait()
        if request.path == "/gone":
            await request.gone()
        if request.path == "/fault":
            raise RuntimeError
        if request.path == "/large":
            return Answer(b"x" * LARGE)
        if request.path == "/stream":
            return Stream(request, _pieces(), bytes, kind="text/plain")
        text = f"{request.method} {request.path} {request.query.decode()} {size}\n"
        return Answer(text.encode(), kind="text/plain")


async def _pieces() -> AsyncGenerator[bytes]:
    for piece in (b"one,", b"two"):
        yield piece


@asynccontextmanager
async def opened(echo: Echo, limits: Connections = LIMITS) -> AsyncGenerator[tuple[Door, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(echo, limits, unheard)
    serving = asyncio.create_task(door.serve([listener]))
    yield door, int(listener.getsockname()[1])
    door.stop()
    await serving


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def port(echo: Echo) -> AsyncIterator[int]:
    async with opened(echo) as (_, found):
        yield found


def bodies(answers: bytes) -> list[bytes]:
    return [line for line in answers.split(b"\n") if line.startswith((b"GET /", b"POST /"))]


async def test_requests_sent_ahead_are_answered_in_their_order(echo: Echo, port: int) -> None:
    ahead = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50))
    saying = asyncio.create_task(
        say(
            port,
            b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + ahead + b"GET /last HTTP/1.1\r\n" + LAST,
        )
    )
    await until(lambda: echo.asked == ["/slow"])
    echo.may.set()
    told = bodies(await saying)
    assert told == [b"GET /slow  0", *(b"GET /%d  0" % n for n in range(50)), b"GET /last  0"]


async def test_who_leaves_with_requests_behind_a_stream_is_seen_to(echo: Echo, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    ahead = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (READ_AHEAD - 1)
    writer.write(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n" + ahead)
    await until(lambda: echo.asked == ["/gone"])
    writer.close()
    await until(lambda: echo.left == ["/gone"])
    assert echo.asked == ["/gone"]


@pytest.mark.parametrize("hosts", [b"", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nhost: y\r\n"])
async def test_a_request_without_one_host_is_refused(echo: Echo, port: int, hosts: bytes) -> None:
    answer = await say(port, b"GET / HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Host" in answer
    assert not echo.asked


async def test_an_old_client_need_not_name_a_host(port: int) -> None:
    assert (await say(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    twice = await say(port, b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n")
    assert twice.startswith(b"HTTP/1.1 400 ")


async def test_bodies_sent_ahead_reach_their_own_requests(port: int) -> None:
    sizes = (0, 1, BUFFER * 3, 10, BUFFER + 1)
    ahead = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (size, size) + b"x" * size
        for size in sizes
    )
    told = bodies(await say(port, ahead + b"GET / HTTP/1.1\r\n" + LAST))
    assert told == [*(b"POST /%d  %d" % (size, size) for size in sizes), b"GET /  0"]


MIXED = b"".join(
    (
        b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /2?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"\r\n\r\nG" * 1000,
        b"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"2;a=b\r\nxy\r\n" * 1000,
        b"0\r\nTrailer: x\r\n\r\n",
        b"POST /4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Content-Length: 9\r\n\r\n" + b"x" * 9,
        b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000,
        b"POST /5 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
)


@given(st.lists(st.integers(0, len(MIXED)), max_size=20).map(sorted))
@settings(max_examples=50)
def test_how_requests_are_cut_into_pieces_does_not_matter(cuts: list[int]) -> None:
    async def ask() -> list[bytes]:
        async with opened(Echo()) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for begin, end in pairwise((0, *cuts, len(MIXED))):
                writer.write(MIXED[begin:end])
                await asyncio.sleep(0.001)
            answers = await reader.read()
            writer.close()
            return bodies(answers)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(ask())
    assert told == [
        b"GET /1  0",
        b"POST /2 a=b 5000",
        b"POST /3  2000",
        b"POST /4  9",
        b"POST /unread  0",
        b"POST /5  0",
    ]


async def test_the_beginning_of_a_head_is_not_counted_with_the_body_before_it(port: int) -> None:
    body = b"x" * (LIMITS.head * 2)
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + body + b"GET /b HT")
    await reader.readuntil(b"POST /a  %d\n" % len(body))
    writer.write(b"TP/1.1\r\n" + LAST)
    assert bodies(await reader.read()) == [b"GET /b  0"]
    writer.close()


async def test_who_does_not_read_is_sent_no_more(echo: Echo, port: int) -> None:
    ask = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ask * 20 + b"GET /b HTTP/1.1\r\n" + LAST)
    for _ in range(100):
        await say(port, b"GET / HTTP/1.1\r\n" + LAST)
    assert echo.asked.count("/large") == 1
    size, last = 0, b""
    while piece := await reader.read(LARGE):
        size += len(piece)
        last = piece
    assert size > 20 * LARGE
    assert last.endswith(b"GET /b  0\n")
    writer.close()


async def test_the_end_takes_nothing_from_an_answer_that_is_under_way(echo: Echo) -> None:
    async with opened(echo) as (door, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /large HTTP/1.1\r\n" + LAST)
        await until(lambda: echo.asked)
        door.stop()
        await asyncio.sleep(0.01)
        assert len(await reader.read()) > LARGE
        writer.close()


async def test_a_request_may_come_byte_by_byte(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in b"POST /a?b=c HTTP/1.1\r\nContent-Length: 2\r\n" + LAST + b"xy":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert bodies(await reader.read()) == [b"POST /a b=c 2"]
    writer.close()


async def test_who_asks_whether_to_go_on_is_told_to(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + LAST)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"xy")
    assert (await reader.read()).endswith(b"POST /  2\n")
    writer.close()


async def test_a_body_that_nobody_reads_is_let_go_by(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (BUFFER * 10)
    writer.write(head)
    assert b" 200 " in await reader.readuntil(b"unread  0\n")
    writer.write(b"x" * (BUFFER * 10) + b"GET / HTTP/1.1\r\n" + LAST)
    assert bodies(await reader.read()) == [b"GET /  0"]
    writer.close()


async def test_old_clients_are_not_told_to_go_on(port: int) -> None:
    ask = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nx"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ask)
    await asyncio.sleep(0.01)
    writer.write(b"y")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_who_sends_all_before_it_reads_hears_an_early_answer(port: int) -> None:
    body = b"x" * LARGE
    head = b"POST /unread HTTP/1.1\r\nContent-Length: %d\r\n" % len(body)

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
            one.sendall(head + LAST + body)
            with one.makefile("rb") as answer:
                return answer.read()

    assert bodies(await asyncio.to_thread(ask)) == [b"POST /unread  0"]


async def test_who_expects_to_be_told_and_is_refused_need_not_send_the_body(port: int) -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    answer = await say(port, head)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize(
    ("version", "header", "stays"),
    [
        (b"1.1", b"X: y", b""),
        (b"1.1", b"Connection: close", b"close"),
        (b"1.0", b"X: y", b"close"),
        (b"1.0", b"Connection: keep-alive", b"keep-alive"),
    ],
)
async def test_a_connection_stays_as_the_client_wishes(
    port: int, version: bytes, header: bytes, stays: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/%b\r\nHost: x\r\n%b\r\n\r\n" % (version, header))
    head = await reader.readuntil(b"\r\n\r\n")
    found = [line for line in head.split(b"\r\n") if line.startswith(b"connection")]
    assert found == ([b"connection: " + stays] if stays else [])
    await reader.readuntil(b"\n")
    if stays == b"close":
        assert await reader.read() == b""
    else:
        writer.write(b"GET /again HTTP/1.1\r\n" + LAST)
        assert bodies(await reader.read()) == [b"GET /again  0"]
    writer.close()


async def test_a_stream_has_chunks_or_for_old_clients_an_end(port: int) -> None:
    new = await say(port, b"GET /stream HTTP/1.1\r\n" + LAST)
    assert b"transfer-encoding: chunked\r\n" in new
    assert new.endswith(b"\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n")
    old = await say(port, b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"chunked" not in old
    assert old.endswith(b"\r\n\r\none,two")


async def test_a_head_has_the_length_of_what_it_leaves_out(port: int) -> None:
    answer = await say(port, b"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nHEAD /stream HTTP/1.1\r\n" + LAST)
    one, two, rest = answer.split(b"\r\n\r\n")
    assert b"content-length: 11" in one
    assert b"transfer-encoding: chunked" in two
    assert rest == b""


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_who_would_speak_something_else_is_answered_as_all(port: int, method: bytes) -> None:
    body = b"xy" if method == b"POST" else b""
    head = (
        b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
    )
    length = b"Content-Length: 2\r\n" if body else b""
    sent = b"%b /a HTTP/1.1\r\n%b%b\r\n%b" % (method, head, length, body)
    told = bodies(await say(port, sent + b"GET /b HTTP/1.1\r\n" + LAST))
    assert told == [b"%b /a  %d" % (method, len(body)), b"GET /b  0"]


async def test_many_may_ask_for_something_else_at_once(port: int) -> None:
    ask = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    told = bodies(await say(port, ask * 100 + b"GET /b HTTP/1.1\r\n" + LAST))
    assert told == [*[b"GET /a  0"] * 100, b"GET /b  0"]


async def test_old_clients_that_ask_for_something_else_hear_the_end(port: int) -> None:
    ask = b"GET /a HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert bodies(await say(port, ask)) == [b"GET /a  0"]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"FOO / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n c\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_told_so_and_hung_up_on(port: int, rubbish: bytes) -> None:
    answer = await say(port, rubbish)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"connection: close\r\n" in answer
    assert b'"code":"INVALID_ARGUMENT"' in answer


async def test_what_follows_a_refusal_is_not_asked(echo: Echo, port: int) -> None:
    head = b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"x" * LIMITS.head)
    answer = await say(port, head + b"GET /b HTTP/1.1\r\n" + LAST)
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert echo.asked == []


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"x\r\n", b"400"),
        (b"0\r\nX: y\0\r\n\r\n", b"400"),
        (b"0\r\nX: " + b"y" * LIMITS.head, b"431"),
        (b"1;x=" + b"y" * LIMITS.head, b"431"),
    ],
)
async def test_a_body_that_breaks_is_refused(port: int, rest: bytes, status: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n")
    await asyncio.sleep(0.01)
    writer.write(rest)
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in answer
    writer.close()


async def test_a_body_that_breaks_after_its_answer_has_no_other(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    await reader.readuntil(b"unread  0\n")
    writer.write(b"x\r\n")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_trailers_are_no_headers(echo: Echo) -> None:
    seen = list[str]()

    async def serve(request: Request, reply: Reply) -> None:
        await echo(request, reply)
        seen.extend(request.values(b"x"))

    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(serve, LIMITS, unheard)
    serving = asyncio.create_task(door.serve([listener]))
    sent = (
        b"POST / HTTP/1.1\r\nX: y\r\nTransfer-Encoding: chunked\r\n" + LAST + b"0\r\nX: z\r\n\r\n"
    )
    assert bodies(await say(int(listener.getsockname()[1]), sent)) == [b"POST /  0"]
    assert seen == ["y"]
    door.stop()
    await serving


async def test_rubbish_after_requests_takes_nothing_from_their_answers(
    echo: Echo, port: int
) -> None:
    ask = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    saying = asyncio.create_task(say(port, ask * 3 + b"\x00\x00\r\n\r\n"))
    await until(lambda: echo.asked == ["/slow"])
    echo.may.set()
    assert bodies(await saying) == [b"GET /slow  0"] * 3


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
async def test_a_head_that_is_too_large_is_refused(port: int, end: bytes) -> None:
    answer = await say(port, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * LIMITS.head + end)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"connection: close\r\n" in answer


async def test_paths_are_decoded_and_hosts_in_them_are_left_out(port: int) -> None:
    assert bodies(await say(port, b"GET /a%20b%2Fc?d=%20 HTTP/1.1\r\n" + LAST)) == [
        b"GET /a b/c d=%20 0"
    ]
    assert bodies(await say(port, b"GET http://y:1/a HTTP/1.1\r\n" + LAST)) == [b"GET /a  0"]


@pytest.mark.parametrize(
    "ask",
    [
        b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
    ],
)
async def test_who_hangs_up_is_not_waited_for(echo: Echo, port: int, ask: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ask)
    await until(lambda: echo.asked == ["/gone"])
    assert echo.left == []
    writer.close()
    await until(lambda: echo.left == ["/gone"])


@pytest.mark.parametrize(
    "ask",
    [
        b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /late HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ],
)
async def test_who_hangs_up_is_no_fault(
    echo: Echo, ask: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(echo) as (door, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ask)
        await until(lambda: echo.asked)
        writer.close()
        await until(lambda: not len(door.crowd))
        echo.may.set()
        await until(lambda: len(asyncio.all_tasks()) <= 5)
        await asyncio.sleep(0.01)
    assert caplog.text == ""


async def test_a_fault_of_ours_closes_the_connection(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert await say(port, b"GET /fault HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert "an answer breaks off, GET '/fault'" in caplog.text
    assert bodies(await say(port, b"GET / HTTP/1.1\r\n" + LAST)) == [b"GET /  0"]


async def test_headers_that_do_not_come_to_an_end_are_given_up(echo: Echo) -> None:
    async with opened(echo, replace(LIMITS, header_seconds=0.2)) as (_, port):
        assert await say(port, b"GET / HTTP/1.1\r\nX: ") == b""
        assert await say(port, b"") == b""


async def test_a_connection_without_requests_is_closed(echo: Echo) -> None:
    async with opened(echo, replace(LIMITS, idle_seconds=0.2)) as (_, port):
        assert bodies(await say(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")) == [b"GET /  0"]


async def test_what_has_arrived_is_answered_at_the_end(echo: Echo) -> None:
    ask = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    async with opened(echo) as (door, port):
        idle = await asyncio.open_connection("127.0.0.1", port)
        saying = asyncio.create_task(say(port, ask + ask + ask))
        await until(lambda: echo.asked == ["/slow"])
        door.stop()
        assert await idle[0].read() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        echo.may.set()
        answers = await saying
        assert bodies(answers) == [b"GET /slow  0"] * 3
        assert answers.count(b"connection: close\r\n") == 1
        assert len(door.crowd) == 0
        idle[1].close()


async def test_a_request_says_when_it_is_late(echo: Echo) -> None:
    late = list[bool]()

    async def serve(request: Request, reply: Reply) -> None:
        request.deadline = asyncio.get_running_loop().time() + 0.05
        try:
            await echo(request, reply)
        except asyncio.CancelledError:
            late.append(request.is_late)
            request.deadline = math.inf
            await Answer(b"GET / late\n").send(reply)

    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(serve, LIMITS, unheard)
    serving = asyncio.create_task(door.serve([listener]))
    port = int(listener.getsockname()[1])
    assert bodies(await say(port, b"GET /slow HTTP/1.1\r\n" + LAST)) == [b"GET / late"]
    assert late == [True]
    door.stop()
    await serving


async def test_no_more_requests_wait_than_there_is_room_for(echo: Echo, port: int) -> None:
    ahead = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5000))
    saying = asyncio.create_task(say(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + ahead))
    await until(lambda: echo.asked == ["/slow"])
    echo.may.set()
    answers = await saying
    assert bodies(answers) == [b"GET /slow  0", *(b"GET /%d  0" % n for n in range(AHEAD))]
    assert answers.count(b"connection: close\r\n") == 1
