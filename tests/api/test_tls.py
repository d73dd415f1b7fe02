import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvloop
from certificates import DAY, Authority, Issued
from cryptography import x509
from listening import until

from funnel.api.answer import Answer, Reply
from funnel.api.connection import Serve
from funnel.api.crowd import QUIET
from funnel.api.listen import Door
from funnel.api.request import Request
from funnel.api.settings import Connections
from funnel.api.tls import Certificates, Files, load
from funnel.core.error import Invalid
from funnel.ports import unheard
from funnel.together import alongside

LARGE = 5_000_000
LIMITS = Connections()


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops have TLS of their own; the server runs on the second."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    return "asyncio", {"loop_factory": factory}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def serve(request: Request, reply: Reply) -> None:
    """As much as is asked for, after all that was sent."""
    size = 0
    while piece := await request.read():
        size += len(piece)
    wanted = int(request.query or b"0")
    reply.begin(200, b"x-received: %d\r\n" % size)
    for start in range(0, wanted, 100_000):
        await reply.piece(b"x" * min(100_000, wanted - start))
    reply.end()


async def refuse_early(request: Request, reply: Reply) -> None:
    del request
    await Answer(b"{}", 413).send(reply)


@asynccontextmanager
async def served(
    certificates: Certificates, limits: Connections = LIMITS, serve: Serve = serve
) -> AsyncGenerator[tuple[int, Door]]:
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(serve, limits, unheard, certificates)
    serving = asyncio.create_task(door.serve([listener]))
    yield listener.getsockname()[1], door
    door.stop()
    await serving


def written(issued: Issued, directory: Path) -> Certificates:
    certificate, key = issued.written(directory)
    return Certificates(Files(certificate=certificate, key=key))


def client(port: int, trusted: ssl.SSLContext, host: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"https://{host}:{port}", verify=trusted, timeout=30)


async def test_requests_and_answers_of_all_sizes_get_through(
    tmp_path: Path, authority: Authority
) -> None:
    async with (
        served(written(authority.issue(), tmp_path)) as (port, _),
        client(port, authority.trusted()) as asking,
    ):
        for size in (0, 1, 65_536, LARGE):
            answer = await asking.post(f"/?{size}", content=b"y" * size)
            assert answer.headers["x-received"] == str(size)
            assert len(answer.content) == size


async def test_an_answer_before_the_end_of_a_body_is_read(
    tmp_path: Path, authority: Authority
) -> None:
    issued = written(authority.issue(), tmp_path)
    async with (
        served(issued, serve=refuse_early) as (port, _),
        client(port, authority.trusted()) as asking,
    ):
        answer = await asking.post("/", content=b"y" * LARGE)
        assert answer.status_code == 413


@pytest.mark.parametrize("size", [100, LARGE])
async def test_a_reader_that_does_not_read_is_given_up(
    tmp_path: Path, authority: Authority, size: int
) -> None:
    limits = Connections(write_seconds=0.2, idle_seconds=0.2)
    async with served(written(authority.issue(), tmp_path), limits) as (port, door):
        # A reader with a limit takes a little more, and then nothing.
        trusted = authority.trusted()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, limit=1000)
        writer.write(b"GET /?%d HTTP/1.1\r\nhost: x\r\n\r\n" % size)
        await until(lambda: bool(door.crowd))
        await until(lambda: not door.crowd)
        writer.transport.abort()


HERE = ("127.0.0.1",)
REFUSED = {
    "plain text": (HERE, DAY, "plain"),
    "another authority": (HERE, DAY, "stranger"),
    "one that is over": (HERE, -timedelta(seconds=1), "known"),
    "another's name": (("elsewhere.example",), DAY, "known"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_no_byte_of_a_request_goes_where_it_should_not(
    tmp_path: Path, authority: Authority, case: str
) -> None:
    names, lasts, who = REFUSED[case]
    async with served(written(authority.issue(names, lasts), tmp_path)) as (port, door):
        if who == "plain":
            asking = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")
        else:
            asking = client(port, (Authority() if who == "stranger" else authority).trusted())
        async with asking:
            with pytest.raises(httpx.TransportError):
                await asking.get("/")
        await until(lambda: not door.crowd)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_tls_is_not_spoken(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion
) -> None:
    old = authority.trusted()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    async with served(written(authority.issue(), tmp_path)) as (port, _):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        assert await handshake(port, authority.trusted()) > 0


async def handshake(port: int, trusted: ssl.SSLContext) -> int:
    """The serial number of the certificate that is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_who_does_not_finish_the_handshake_has_the_time_of_headers(
    tmp_path: Path, authority: Authority
) -> None:
    limits = Connections(most=5, header_seconds=0.3)
    async with served(written(authority.issue(), tmp_path), limits) as (port, door):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, writer in silent:
            writer.write(b"\x16\x03\x01")
        async with client(port, authority.trusted()) as asking:
            assert (await asking.get("/?3")).text == "xxx"
        for reader, writer in silent:
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        await until(lambda: not door.crowd)


async def test_silent_ones_do_not_keep_others_out(tmp_path: Path, authority: Authority) -> None:
    limits = Connections(most=5, header_seconds=60)
    async with served(written(authority.issue(), tmp_path), limits) as (port, door):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        await until(lambda: len(door.crowd) == 5)
        await asyncio.sleep(QUIET + 0.1)
        async with client(port, authority.trusted()) as asking:
            assert (await asking.get("/?3")).text == "xxx"
            assert len(door.crowd) <= 5
        for _, writer in silent:
            writer.close()


async def test_a_door_that_closes_sends_home_who_has_not_finished_the_handshake(
    tmp_path: Path, authority: Authority
) -> None:
    async with served(written(authority.issue(), tmp_path)) as (port, door):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: len(door.crowd) == 1)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert not door.crowd


async def test_no_request_is_lost_while_certificates_change(
    tmp_path: Path, authority: Authority
) -> None:
    certificates = written(authority.issue(), tmp_path)
    trusted = authority.trusted()
    asked = [0, 0, 0, 0]
    is_over = asyncio.Event()

    async def ask(number: int, *, anew: bool) -> None:
        while not is_over.is_set():
            async with client(port, trusted) as asking:
                for _ in range(1 if anew else 20):
                    answer = await asking.post("/?1000", content=b"y" * 1000)
                    assert (answer.status_code, len(answer.content)) == (200, 1000)
                    asked[number] += 1

    async with served(certificates) as (port, _), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(ask(number, anew=number % 2 == 0))
        for _ in range(25):
            before = list(asked)
            newer = authority.issue()
            newer.written(tmp_path)
            await asyncio.to_thread(certificates.look)
            assert await handshake(port, trusted) == newer.serial
            await until(
                lambda before=before: all(b > a for a, b in zip(before, asked, strict=True))
            )
        is_over.set()


BROKEN: Mapping[str, Callable[[Issued, Issued], Issued]] = {
    "no certificate": lambda old, _: Issued(b"", old.key),
    "no key": lambda old, _: Issued(old.certificate, b""),
    "half a certificate": lambda _, new: Issued(
        new.certificate[: len(new.certificate) // 2], new.key
    ),
    "another's key": lambda old, new: Issued(new.certificate, old.key),
    "the old certificate with a new key": lambda old, new: Issued(old.certificate, new.key),
    "no PEM": lambda _, new: Issued(b"\xff" * 100, new.key),
    "the wrong way round": lambda _, new: Issued(new.key, new.certificate),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_what_is_broken_leaves_the_old_certificate_and_says_so_once(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    old, new = authority.issue(), authority.issue()
    certificates = written(old, tmp_path)
    async with served(certificates) as (port, _):
        BROKEN[fault](old, new).written(tmp_path)
        for _ in range(3):
            certificates.look()
            assert await handshake(port, authority.trusted()) == old.serial
        (said,) = [one for one in caplog.records if one.name == "funnel.api.tls"]
        assert "new connections are shown the old certificate" in said.getMessage()
        assert new.key.decode().splitlines()[1] not in caplog.text
        new.written(tmp_path)
        certificates.look()
        assert await handshake(port, authority.trusted()) == new.serial


async def test_files_that_go_away_leave_the_old_certificate(
    tmp_path: Path, authority: Authority
) -> None:
    old = authority.issue()
    certificates = written(old, tmp_path)
    await asyncio.to_thread(shutil.rmtree, tmp_path)
    certificates.look()
    async with served(certificates) as (port, _):
        assert await handshake(port, authority.trusted()) == old.serial


async def test_new_files_are_found_without_being_told(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funnel.api.tls.EVERY", 0.01)
    certificates = written(authority.issue(), tmp_path)
    newer = authority.issue()
    async with served(certificates) as (port, _), alongside(certificates.watch()):
        newer.written(tmp_path)
        await until(lambda: certificates.now.chain == newer.certificate)
        assert await handshake(port, authority.trusted()) == newer.serial


def test_a_first_certificate_that_is_broken_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    one = authority.issue(password=b"swordfish")
    with pytest.raises(Invalid, match="the key has a password"):
        written(one, tmp_path)
    with pytest.raises(Invalid, match=r"cannot read .*nowhere\.pem: No such file"):
        load(Files(certificate=tmp_path / "nowhere.pem", key=tmp_path / "server.key"))
    no_certificate = tmp_path / "text.pem"
    no_certificate.write_text("text")
    with pytest.raises(Invalid, match=r"are no certificate and its key: .*PEM"):
        load(Files(certificate=no_certificate, key=tmp_path / "server.key"))
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(b"")
    certificate, key = authority.issue().written(tmp_path)
    with pytest.raises(Invalid, match="authorities"):
        load(Files(certificate=certificate, key=key, client_ca=authorities))
