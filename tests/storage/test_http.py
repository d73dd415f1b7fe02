from collections.abc import AsyncGenerator
from functools import partial
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace
from stores import Server
from webs import HERE, Beside, host, web_storage

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.reach import Reach
from funnel.core.secret import Secret
from funnel.ports import Storage
from funnel.storage.hosts import WebHost
from funnel.storage.http import PLUGIN, Settings
from funnel.storage.remote import RemoteStorage
from funnel.testing.storage import StorageSuite

SAFE = ("a+b", ".hidden", "..more", "~", "-rf", "a'b", "(x)", "n" * 200)
"""Names that are the same in a URL."""


@pytest.fixture
def files(web_server: Server) -> Path:
    return web_server.home / "data" / "files"


@pytest.fixture
def site(web_server: Server) -> str:
    return f"http://{web_server.address}"


@pytest.fixture
async def storage() -> AsyncGenerator[RemoteStorage]:
    async with web_storage(uploads=True) as storage:
        yield storage


@pytest.fixture
def hello(files: Path) -> str:
    name = f"{uuid4()}.txt"
    (files / name).write_text("hello")
    return name


def login(web_server: Server) -> WebHost:
    return WebHost(
        host=web_server.address, user="tester", password=Secret("testing"), plain_text=True
    )


class TestHttp(StorageSuite):
    """nginx heeds no conditions when it stores."""

    names = SAFE
    many = 200
    decides = False

    @pytest.fixture
    def folder(self, files: Path) -> Path:
        folder = files / str(uuid4())
        folder.mkdir()
        return folder

    @pytest.fixture
    def base(self, site: str, folder: Path) -> str:
        return f"{site}/upload/{folder.name}"

    @pytest.fixture
    async def storage(self, base: str, folder: Path) -> AsyncGenerator[Storage]:
        async with web_storage(uploads=True) as storage:
            yield Beside(storage.store, base, folder)


async def got(storage: Storage, url: str, tmp_path: Path) -> str:
    await storage.get(url, tmp_path / "to")
    return (tmp_path / "to").read_text()


async def test_a_name_is_written_as_urls_have_it(
    storage: Storage, site: str, files: Path, tmp_path: Path
) -> None:
    (files / "with space ✓ 100%.txt").write_text("odd")
    for name in ("with space ✓ 100%25.txt", "with%20space%20%E2%9C%93%20100%25.txt"):
        assert await got(storage, f"{site}/open/{name}", tmp_path) == "odd"
        assert await got(storage, f"{site}/open/{name}?a=b%2Fc&d#part", tmp_path) == "odd"


@pytest.mark.parametrize("how", ["open", "norange", "redirect", "flaky", "unseen"])
async def test_files_come_from_servers_of_all_kinds(
    storage: Storage, site: str, hello: str, tmp_path: Path, how: str
) -> None:
    found = await storage.stat(f"{site}/{how}/{hello}")
    assert (found.size_bytes, found.url) == (5, f"{site}/{how}/{hello}")
    assert found.last_modified is not None
    assert await got(storage, f"{site}/{how}/{hello}", tmp_path) == "hello"


async def test_an_empty_file_has_no_bytes_to_ask_for(
    storage: Storage, site: str, files: Path
) -> None:
    (files / "empty").touch()
    assert (await storage.stat(f"{site}/unseen/empty")).size_bytes == 0


@pytest.mark.parametrize(
    ("where", "refused"),
    [
        ("login/x", Denied(r"answered 401.*HTTPStorage\.Hosts")),
        ("forbidden/x", Denied("answered 403")),
        ("open/no-such-file", NotFound("answered 404")),
        ("gone/x", NotFound("answered 410")),
        ("round/x", Invalid("more than 5 redirects")),
        ("packed/x", Invalid("packed by gzip")),
    ],
)
async def test_what_is_refused_is_said_at_once(
    storage: Storage, site: str, files: Path, where: str, refused: FunnelError
) -> None:
    (files / "x").touch()
    url = f"{site}/{where}"
    for deed in (storage.stat, partial(storage.get, to=files / "to")):
        with pytest.raises(type(refused), match=str(refused)) as caught:
            await deed(f"{url}?sig=geheim")
        assert "geheim" not in str(caught.value)
        assert url in str(caught.value)
    assert not (files / "to").exists()


async def test_a_packed_file_is_taken_as_it_is(
    storage: Storage, site: str, files: Path, tmp_path: Path
) -> None:
    (files / "x.gz").write_text("packed already")
    assert await got(storage, f"{site}/packed/x.gz", tmp_path) == "packed already"


async def test_directories_are_not_there(storage: Storage, site: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="name each file by itself"):
        await storage.list_objects(f"{site}/open/")
    with pytest.raises(Denied):
        await storage.get(f"{site}/open/", tmp_path / "to")


async def test_who_is_known_is_let_in(web_server: Server, hello: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n")
    for where, one in {
        "login": login(web_server),
        "bearer": replace(login(web_server), token_file=str(tmp_path / "token")),
    }.items():
        async with web_storage(one) as storage:
            url = f"http://{web_server.address}/{where}/{hello}"
            assert await got(storage, url, tmp_path) == "hello"


async def test_a_url_may_have_a_login_in_it(
    storage: Storage, web_server: Server, hello: str, tmp_path: Path
) -> None:
    url = f"http://tester:testing@{web_server.address}/login/{hello}"
    assert await got(storage, url, tmp_path) == "hello"
    with pytest.raises(Denied) as caught:
        await storage.stat(url.replace("testing", "geheim"))
    assert "geheim" not in str(caught.value)


async def test_credentials_go_nowhere_else(web_server: Server, site: str, hello: str) -> None:
    """Neither in plain text, nor to where a redirect leads."""
    async with web_storage(replace(login(web_server), plain_text=False)) as storage:
        with pytest.raises(Denied, match="over https only"):
            await storage.stat(f"{site}/login/{hello}")
    async with web_storage(login(web_server)) as storage:
        await storage.stat(f"{site}/login/{hello}")
        with pytest.raises(Denied):
            await storage.stat(f"{site}/away/{hello}")
        with pytest.raises(Denied):
            await storage.stat(f"{site.replace('//', '//tester:testing@')}/away/{hello}")


async def test_a_certificate_is_checked(web_server: Server, hello: str, tmp_path: Path) -> None:
    secure = f"localhost:{web_server.port + 1}"
    url = f"https://{secure}/login/{hello}"
    async with web_storage() as storage:
        with pytest.raises(Denied, match="certificate"):
            await storage.stat(url)
    authority = str(web_server.home / "data" / "cert.pem")
    known = WebHost(host=secure, user="tester", password=Secret("testing"), ca_file=authority)
    async with web_storage(known) as storage:
        assert await got(storage, url, tmp_path) == "hello"


async def test_outputs_are_off_until_they_are_allowed(site: str, files: Path) -> None:
    name = str(uuid4())
    async with web_storage() as storage:
        with pytest.raises(Denied, match=r"HTTPStorage\.Uploads"):
            await storage.put(BytesIO(b"x"), f"{site}/upload/{name}")
    assert not (files / name).exists()


async def test_credentials_to_read_with_are_none_to_write_with(
    web_server: Server, site: str, files: Path
) -> None:
    name = str(uuid4())
    async with web_storage(login(web_server), uploads=True) as storage:
        with pytest.raises(Denied, match=r"HTTPStorage\.Hosts has Uploads"):
            await storage.put(BytesIO(b"x"), f"{site}/private/{name}")
    assert not (files / name).exists()
    async with web_storage(replace(login(web_server), uploads=True)) as storage:
        await storage.put(BytesIO(b"x"), f"{site}/private/{name}")
    assert (files / name).read_bytes() == b"x"


async def test_the_server_says_that_something_is_there_already(site: str) -> None:
    url = f"{site}/signed/{uuid4()}"
    async with web_storage(uploads=True) as storage:
        with pytest.raises(Exists, match=r"/signed/.* was answered 412"):
            await storage.put(BytesIO(b"x"), url, overwrite=False)
        await storage.put(BytesIO(b"x"), url)


async def test_an_upload_follows_no_redirect(storage: Storage, site: str) -> None:
    with pytest.raises(Invalid, match="answered 302"):
        await storage.put(BytesIO(b"x"), f"{site}/redirect/x")


async def test_who_takes_no_uploads_says_so(storage: Storage, site: str) -> None:
    with pytest.raises(Invalid, match="storing was answered 405"):
        await storage.put(BytesIO(b"x"), f"{site}/open/x")


async def test_a_large_file_is_brought_in_parts(
    storage: RemoteStorage, site: str, files: Path
) -> None:
    (files / "parts").write_bytes(bytes(range(256)) * 100)
    tag = (await storage.stat(f"{site}/open/parts")).etag
    async with storage.store.read(f"{site}/open/parts", 300, 310, tag) as reading:
        assert (reading.start, reading.ranged, reading.found.size_bytes) == (300, True, 25_600)
        assert b"".join([one async for one in reading.pieces]) == bytes(range(44, 54))
    async with storage.store.read(f"{site}/open/parts", 300, None, '"other"') as reading:
        assert (reading.start, reading.found.etag) == (0, tag)
    async with storage.store.read(f"{site}/norange/parts", 300, None, tag) as reading:
        assert (reading.start, reading.ranged) == (0, False)


async def test_nobody_answers(storage: Storage) -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1/x: looking failed"):
        await storage.stat("http://127.0.0.1:1/x")
    with pytest.raises(FunnelError, match=r"no-such-host\.invalid"):
        await storage.stat("http://no-such-host.invalid/x")


async def test_the_gate_says_which_url_it_was_about(hello: str, site: str) -> None:
    async with web_storage(reach=Reach()) as storage:
        for url in (f"{site}/open/{hello}", "http://localhost/x"):
            with pytest.raises(Denied, match=rf"^{url}: .*Outbound\.AllowedNetworks$"):
                await storage.stat(url)


async def test_it_can_be_switched_off(site: str) -> None:
    async with PLUGIN.make(Settings(disabled=True), host(HERE)) as storage:
        assert not storage.takes(f"{site}/x")
    async with PLUGIN.make(Settings(), host(HERE)) as storage:
        assert storage.takes(f"{site}/x")
        assert storage.takes("HTTPS://EXAMPLE.ORG")
        assert not storage.takes("ftp://example.org/x")


async def test_files_of_settings_must_be_there(tmp_path: Path) -> None:
    for wrong in (
        WebHost(host="example.org", token_file=str(tmp_path / "none")),
        WebHost(host="example.org", ca_file=str(tmp_path / "none")),
    ):
        with pytest.raises(Unavailable, match=r"HTTPStorage\.Hosts.*example\.org"):
            async with web_storage(wrong):
                pass
