"""Our client of HTTP meets servers that do as they like."""

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from certificates import Authority

from funnel.net.blocks import BLOCK, KEPT
from funnel.net.client import Client, NoAddress, Origin, Unsayable
from funnel.net.connection import AHEAD
from funnel.net.incoming import MOST, Broken, Piece

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BODY: Final = random.Random(1).randbytes(3 * BLOCK + 7)
NO_HEADERS: Final[Mapping[str, str]] = {}
OK: Final = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def serving(
    serve: Serve, tls: ssl.SSLContext | None = None, trusted: ssl.SSLContext | None = None
) -> AsyncGenerator[Origin]:
    serving = set[asyncio.Task[None]]()

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        with suppress(OSError):
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(came, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield Origin("https" if tls else "http", "127.0.0.1", port, trusted)
        finally:
            # Those that have just come are not served yet.
            await asyncio.sleep(0)
            for one in serving:
                one.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def saying(answer: bytes, cuts: random.Random | None = None, *, stays: bool = False) -> Serve:
    """To each request, in pieces as they fall; then the connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            at = 0
            while at < len(answer):
                size = cuts.choice((1, 2, 7, 100, 1 << 14)) if cuts else len(answer)
                writer.write(answer[at : at + size])
                at += size
                await writer.drain()
                if cuts and cuts.random() < 0.3:
                    await asyncio.sleep(0)
            if not stays:
                return

    return serve


async def whole(
    client: Client, origin: Origin, method: str = "GET", headers: Mapping[str, str] = NO_HEADERS
) -> tuple[int, bytes]:
    async with client.request(method, origin, "/", headers) as answer:
        return answer.status, await answer.read()


def chunked(body: bytes, size: int, extension: bytes = b"") -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    sent = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in pieces)
    return b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\nTrailer: x\r\n\r\n"


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS: Final = {
    "of a size": (OK + sized(BODY[:5000]), BODY[:5000]),
    "empty": (OK + sized(b""), b""),
    "in chunks": (OK + chunked(BODY[:5000], 999), BODY[:5000]),
    "in tiny chunks": (OK + chunked(BODY[:300], 1, b";a=b"), BODY[:300]),
    "up to the end": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY[:5000], BODY[:5000]),
    "after others": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        + OK
        + sized(BODY[:500]),
        BODY[:500],
    ),
    "without a reason": (b"HTTP/1.1 200\r\n" + sized(b"x"), b"x"),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_the_same_however_it_is_cut(kind: str, seed: int) -> None:
    sent, body = ANSWERS[kind]
    async with serving(saying(sent, random.Random(seed))) as origin, Client() as client:
        for _ in range(2):
            assert await whole(client, origin) == (200, body)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", [sized, partial(chunked, size=70_000)])
async def test_a_large_body_comes_whole(form: Callable[[bytes], bytes], seed: int) -> None:
    cuts = random.Random(seed) if seed else None
    body = BODY[: 1 << 18] if seed == 2 else BODY
    async with serving(saying(OK + form(body), cuts)) as origin, Client() as client:
        assert await whole(client, origin) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5000\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_has_no_body_is_over_with_its_head(answer: bytes) -> None:
    status = int(answer[9:12])
    async with serving(saying(answer, stays=True)) as origin, Client(silence=5) as client:
        for _ in range(3):
            assert await whole(client, origin, "HEAD") == (status, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        OK,
        OK + b"Content-Length: 10\r\n\r\n123456789",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\0" * 100,
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\nabc",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n" + chunked(chunked(b"abc", 3)[28:], 99),
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        OK + b"No colon\r\n\r\n",
        OK + b"A: b\nContent-Length: 1\r\n\r\na" + b"\0",
    ],
)
async def test_what_is_no_answer_or_only_a_part_of_one_is_an_error(answer: bytes) -> None:
    async with serving(saying(answer)) as origin, Client(silence=5) as client:
        with pytest.raises(ConnectionError):
            await whole(client, origin)


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (OK, b"A: b\r\n"),
        (OK + b"A: ", b"b" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 100),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a=b;" * 20),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    ],
)
async def test_headers_without_end_are_given_up(beginning: bytes, again: bytes) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await head(reader)
        writer.write(beginning)
        while sent < 100 * MOST:
            writer.write(again * 50)
            sent += len(again) * 50
            await writer.drain()

    async with serving(serve) as origin, Client(silence=5) as client:
        with pytest.raises(Broken):
            await whole(client, origin)
    assert sent < 100 * MOST


@pytest.mark.parametrize("junk", [b"x", OK + sized(b"other"), b"\r\n\r\n" * 9, b"\0" * 70_000])
@pytest.mark.parametrize("form", [sized, partial(chunked, size=100)])
async def test_what_follows_an_answer_is_none(form: Callable[[bytes], bytes], junk: bytes) -> None:
    """Nobody has asked for it, and the next request must not take it for its own."""
    for body in (b"", b"right", BODY[:100_000]):
        serve = saying(OK + form(body) + junk, stays=True)
        async with serving(serve) as origin, Client() as client:
            for _ in range(3):
                with suppress(ConnectionError):
                    assert await whole(client, origin) == (200, body)
                await asyncio.sleep(0)


class Counted:
    """Closes a connection at its second request, without an answer; or when it has been idle."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once
        self.connections = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await head(reader)
        self.requests += 1
        writer.write(OK + sized(b"here"))
        if not self._at_once:
            await head(reader)
            self.requests += 1


async def test_a_request_that_a_kept_connection_did_not_take_is_sent_again() -> None:
    counted = Counted(at_once=False)
    async with serving(counted.serve) as origin, Client() as client:
        for _ in range(3):
            assert await whole(client, origin) == (200, b"here")
        assert (counted.connections, counted.requests) == (3, 5)


@pytest.mark.parametrize(("method", "headers"), [("POST", {}), ("PUT", {"If-None-Match": "*"})])
async def test_what_might_be_done_twice_is_not_sent_again(
    method: str, headers: dict[str, str]
) -> None:
    counted = Counted(at_once=False)
    async with serving(counted.serve) as origin, Client() as client:
        assert await whole(client, origin, method, headers) == (200, b"here")
        with pytest.raises(ConnectionError):
            await whole(client, origin, method, headers)
        assert (counted.connections, counted.requests) == (1, 2)


async def test_a_connection_is_used_again_as_long_as_it_stays() -> None:
    opened = 0
    answer = saying(OK + sized(b"here"), stays=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await answer(reader, writer)

    async with serving(serve) as origin, Client() as client:
        for _ in range(5):
            assert await whole(client, origin) == (200, b"here")
        assert opened == 1
        async with client.request("GET", origin, "/", {}), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(whole(client, origin))
        assert opened == 4


@pytest.mark.parametrize("end", [b"HTTP/1.0 200 OK\r\n", OK + b"Connection: close\r\n"])
async def test_a_connection_that_ends_is_not_used_again(end: bytes) -> None:
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await saying(end + sized(b"here"), stays=True)(reader, writer)

    async with serving(serve) as origin, Client() as client:
        for _ in range(3):
            assert await whole(client, origin) == (200, b"here")
        assert opened == 3


async def test_who_does_not_read_is_not_sent_more() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await head(reader)
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % (1 << 40))
        while True:
            writer.write(bytes(BLOCK))
            await writer.drain()
            sent += BLOCK

    async with (
        serving(serve) as origin,
        Client() as client,
        client.request("GET", origin, "/", {}) as answer,
    ):
        taken, before = 0, -1
        async for piece in answer.content.iter_any():
            assert len(piece) <= BLOCK
            taken += len(piece)
            if taken > 4 * BLOCK:
                break
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        # What the kernel holds for both is beside it.
        assert sent < taken + AHEAD + 32 * BLOCK


async def test_a_piece_stays_as_it_came_however_much_comes_after_it() -> None:
    chance = random.Random(2)
    body = chance.randbytes(3 * KEPT * BLOCK)
    kept = list[tuple[int, Piece]]()
    async with serving(saying(OK + sized(body), stays=True)) as origin, Client() as client:
        for _ in range(3):
            at = 0
            async with client.request("GET", origin, "/", {}) as answer:
                async for piece in answer.content.iter_any():
                    # Others are let go, so that their memory is used again.
                    if chance.random() < 0.5:
                        kept.append((at + 1, piece[1:]))
                    at += len(piece)
            assert at == len(body)
    assert all(piece == body[at : at + len(piece)] for at, piece in kept)


async def test_what_comes_slowly_is_handed_on_as_it_comes() -> None:
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK + b"Content-Length: 6\r\n\r\n")
        for piece in (b"ab", b"cd", b"ef"):
            await more.wait()
            more.clear()
            writer.write(piece)

    found = list[bytes]()
    async with (
        serving(serve) as origin,
        Client() as client,
        client.request("GET", origin, "/", {}) as answer,
    ):
        more.set()
        async for piece in answer.content.iter_any():
            found.append(bytes(piece))
            more.set()
    assert found == [b"ab", b"cd", b"ef"]


async def test_silence_is_not_waited_for_for_ever() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = await head(reader)
        writer.write(OK + b"Content-Length: 6\r\n\r\nabc" if b"/body" in wanted else b"")
        await reader.read()

    async with serving(serve) as origin, Client(silence=0.2) as client:
        for target in ("/head", "/body"):
            with pytest.raises(TimeoutError):
                async with client.request("GET", origin, target, {}) as answer:
                    await answer.read()


# --- what is sent


async def pieces(*some: bytes) -> AsyncIterator[bytes]:
    for one in some:
        yield one


class Hearing:
    """Keeps what has come, up to the end of the body."""

    def __init__(self) -> None:
        self.heard = list[tuple[str, bytes]]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            said = (await head(reader)).decode()
            lines = dict(line.lower().split(": ", 1) for line in said.splitlines()[1:-1])
            body = b""
            if lines.get("transfer-encoding") == "chunked":
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            else:
                body = await reader.readexactly(int(lines.get("content-length", "0")))
            self.heard.append((said, body))
            writer.write(OK + sized(b""))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {}),
        (b"abc", {}),
        (BODY, {}),
        (memoryview(BODY)[5:], {}),
        ((b"abc", b"", b"def"), {}),
        ((b"abc", b"def"), {"Content-Length": "6"}),
        ((BODY, b"x", BODY), {}),
        ((BODY, BODY), {"content-length": str(2 * len(BODY))}),
    ],
)
async def test_a_body_arrives_as_it_is(
    body: bytes | memoryview | tuple[bytes, ...] | None, headers: dict[str, str]
) -> None:
    hearing = Hearing()
    async with serving(hearing.serve) as origin, Client() as client:
        for _ in range(2):
            given = pieces(*body) if isinstance(body, tuple) else body
            async with client.request("PUT", origin, "/a?b", headers, given) as answer:
                assert answer.status == 200
    wanted = b"".join(body) if isinstance(body, tuple) else bytes(body or b"")
    assert [one for _, one in hearing.heard] == [wanted] * 2
    assert all(
        said.startswith("PUT /a?b HTTP/1.1\r\nHost: 127.0.0.1:") for said, _ in hearing.heard
    )


@pytest.mark.parametrize("some", [(b"abc",), (b"abc", b"defg"), ()])
async def test_a_body_of_another_size_than_was_said_is_no_request(some: tuple[bytes, ...]) -> None:
    hearing = Hearing()
    async with serving(hearing.serve) as origin, Client() as client:
        with pytest.raises(Unsayable):
            async with client.request("PUT", origin, "/", {"Content-Length": "6"}, pieces(*some)):
                pass
        assert await whole(client, origin) == (200, b"")
    assert [said.split()[0] for said, _ in hearing.heard] == ["GET"]


async def test_a_body_that_breaks_off_is_no_request() -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ZeroDivisionError

    hearing = Hearing()
    async with serving(hearing.serve) as origin, Client() as client:
        with pytest.raises(ZeroDivisionError):
            async with client.request("PUT", origin, "/", {}, breaking()):
                pass
    assert hearing.heard == []


@pytest.mark.parametrize("body", [BODY * 8, None])
async def test_a_refusal_is_heard_before_all_is_sent(body: bytes | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 403 Forbidden\r\n" + sized(b"no"))
        await writer.drain()
        await asyncio.sleep(0.5)

    async with serving(serve) as origin, Client() as client:
        given = body or pieces(*[BODY] * 8)
        async with client.request("PUT", origin, "/", {}, given) as answer:
            assert (answer.status, await answer.read()) == (403, b"no")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/\u00e4", {}),
        ("a", {}),
        ("/", {"A": "b\r\nC: d"}),
        ("/", {"A": "b\nC: d"}),
        ("/", {"A": "b\rC"}),
        ("/", {"A": "\0"}),
        ("/", {"A\r\nB": "c"}),
        ("/", {"A:": "c"}),
        ("/", {"A b": "c"}),
        ("/", {"": "c"}),
        ("/", {"Transfer-Encoding": "chunked"}),
        ("/", {"host": "elsewhere"}),
    ],
)
async def test_nothing_can_be_put_between_the_lines(target: str, headers: dict[str, str]) -> None:
    hearing = Hearing()
    async with serving(hearing.serve) as origin, Client() as client:
        with pytest.raises(Unsayable):
            async with client.request("GET", origin, target, headers):
                pass
    assert hearing.heard == []


async def test_who_leaves_in_the_middle_leaves_no_connection() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK + b"Content-Length: 6\r\n\r\nabc")
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with serving(serve) as origin, Client() as client:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2), client.request("GET", origin, "/", {}) as answer:
                await answer.read()
        async with asyncio.timeout(10):
            await gone.wait()


async def test_a_name_without_an_address_is_said_to_have_none() -> None:
    async with Client() as client:
        for host in ("nowhere.invalid", "x" * 70):
            with pytest.raises(NoAddress, match=host):
                await whole(client, Origin("http", host, 80))


async def test_whom_nobody_believes_is_not_spoken_to(tmp_path: Path) -> None:
    authority, tls = Authority(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.issue().written(tmp_path))
    believed = authority.trusted()
    answer = OK + sized(BODY)
    async with serving(saying(answer, stays=True), tls, believed) as origin, Client() as client:
        for _ in range(2):
            assert await whole(client, origin) == (200, BODY)
        for other in (None, ssl.create_default_context()):
            with pytest.raises(ssl.SSLError):
                await whole(client, origin._replace(tls=other))
    hearing = Hearing()
    async with (
        serving(hearing.serve, tls, believed) as origin,
        Client() as client,
        client.request("PUT", origin, "/", {}, BODY) as answered,
    ):
        assert answered.status == 200
    assert hearing.heard[0][1] == BODY


@pytest.mark.parametrize("is_said", [True, False])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_answer_by_tls_that_ends_with_the_line_is_whole_where_that_is_said(
    version: ssl.TLSVersion, tmp_path: Path, *, is_said: bool
) -> None:
    authority, tls = Authority(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.issue().written(tmp_path))
    tls.maximum_version = version

    def serve(listening: socket.socket) -> None:
        line = tls.wrap_socket(listening.accept()[0], server_side=True)
        line.recv(1 << 16)
        line.sendall(OK + b"\r\n" + BODY[:5000])
        if is_said:
            with suppress(OSError):
                line.unwrap()
        socket.socket(fileno=line.detach()).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(serve, listening))
        origin = Origin("https", "127.0.0.1", listening.getsockname()[1], authority.trusted())
        async with Client() as client:
            if is_said:
                assert await whole(client, origin) == (200, BODY[:5000])
            else:
                with pytest.raises(ConnectionError):
                    await whole(client, origin)
        await serving


async def test_of_an_answer_only_so_much_is_read_as_is_asked_for() -> None:
    async with (
        serving(saying(OK + sized(BODY))) as origin,
        Client() as client,
        client.request("GET", origin, "/", {}) as answer,
    ):
        assert await answer.content.read(5) == BODY[:5]
