"""FTP, at real servers: one of today, one that knows nothing new, and by TLS."""

import os
import shutil
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from certificates import Authority
from files import HERE, HOST, opened, there
from fileservers import FileServerSuite, cancelled
from msgspec.structs import replace
from proxy import Proxy
from stores import Server, running

from funnel.core.error import Denied, Invalid
from funnel.core.reach import Reach
from funnel.core.secret import Secret
from funnel.ports import Storage
from funnel.storage.ftp import store
from funnel.storage.ftp.settings import Account, Settings
from funnel.testing.build import new_id

pytestmark = [pytest.mark.xdist_group("ftp"), pytest.mark.timeout(120)]

SHORT = timedelta(milliseconds=300)
ACCOUNT = Account(host="127.0.0.1", user="tester", password=Secret("testing"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("ftp")
    authority.issue(["127.0.0.1"]).written(home / "data")
    with running("ftp", home) as found:
        yield found


@pytest.fixture
def files(server: Server) -> Iterator[Path]:
    """Where a test has its files, on this machine."""
    found = server.home / "data" / "files" / new_id()
    found.mkdir()
    yield found
    shutil.rmtree(found)


@pytest.fixture
def base(server: Server, files: Path) -> str:
    return f"ftp://{server.address}/{files.name}"


@pytest.fixture
def settings(authority: Authority, tmp_path: Path) -> Settings:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.certificate)
    return Settings(hosts=(ACCOUNT,), ca_file=str(ca_file))


@pytest.fixture
async def storage(settings: Settings) -> AsyncGenerator[Storage]:
    async with opened("ftp", settings) as found:
        yield found


@pytest.fixture
def config() -> str:
    return """
FTPStorage:
  Hosts: [{Host: 127.0.0.1, User: tester, Password: testing}]
Outbound:
  AllowedNetworks: [127.0.0.0/8]
"""


@pytest.fixture
async def far(storage: Storage, line: Proxy, files: Path) -> tuple[Storage, str]:
    return storage, f"ftp://127.0.0.1:{line.port}/{files.name}"


@pytest.fixture
async def far_and_short(
    settings: Settings, far: tuple[Storage, str]
) -> AsyncGenerator[tuple[Storage, str]]:
    async with opened("ftp", replace(settings, timeout=SHORT)) as storage:
        yield storage, far[1]


class TestFTP(FileServerSuite):
    """A user and password of the settings."""

    conditional = False
    plugin = "ftp"
    library = "aioftp"
    modules = ("store", "session", "control")


class TestOldServer(TestFTP):
    """It lists as `ls` does, and its files are where it says in no case."""

    refusal = "Not a directory"
    tells_times = False

    @pytest.fixture
    def base(self, server: Server, files: Path) -> str:
        return f"ftp://127.0.0.1:{server.port + 1}/{files.name}"


@pytest.mark.parametrize("size", [0, 1, (16 << 20) + 1])
async def test_files_go_by_tls(
    storage: Storage, server: Server, files: Path, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    url = f"ftps://{server.address}/{files.name}/dir"
    await storage.put(BytesIO(content), f"{url}/a")
    assert (files / "dir" / "a").read_bytes() == content
    await storage.get(f"{url}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content
    assert [(one.name, one.size_bytes) for one in await storage.list_objects(url)] == [("a", size)]


@pytest.mark.parametrize("user", ["tester:testing", "a%40b%3ac:p%40ss%3aw%2frd"])
async def test_a_user_of_the_url_has_the_password_of_the_url(
    base: str, files: Path, user: str
) -> None:
    async with opened("ftp", Settings()) as storage:
        url = base.replace("://", f"://{user}@")
        stored = await storage.put(BytesIO(b"x"), f"{url}/a/b")
        assert stored.url == f"{url}/a/b"
    assert there(files) == ["a/b"]


async def test_a_user_of_the_settings_is_for_the_hosts_that_they_name(base: str) -> None:
    mine = Settings(user="tester", password=Secret("testing"))
    async with opened("ftp", replace(mine, hosts=(Account(host="127.0.0.1"),))) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
    async with opened("ftp", replace(mine, hosts=(Account(host="elsewhere"),))) as storage:
        assert (await storage.stat(f"{base}/a")).size_bytes == 1
        with pytest.raises(Denied, match="cannot store it"):
            await storage.put(BytesIO(b"x"), f"{base}/b")


async def test_a_wrong_password_is_said_to_be(base: str) -> None:
    async with opened("ftp", Settings()) as storage:
        with pytest.raises(Denied, match=r"log in as tester.*FTPStorage.*530") as told:
            await storage.stat(base.replace("://", "://tester:swordfish@") + "/a")
    assert "swordfish" not in str(told.value)


async def test_anonymous_may_read_and_not_write(base: str, files: Path, tmp_path: Path) -> None:
    (files / "a").write_bytes(b"x")
    async with opened("ftp", Settings()) as storage:
        await storage.get(f"{base}/a", tmp_path / "to")
        assert (tmp_path / "to").read_bytes() == b"x"
        for name in ("b", "new/b"):
            with pytest.raises(Denied, match=r"cannot store it.*Not enough privileges"):
                await storage.put(BytesIO(b"x"), f"{base}/{name}")
    assert there(files) == ["a"]


async def test_links_in_a_circle_come_to_an_end(storage: Storage, base: str, files: Path) -> None:
    (files / "dir").mkdir()
    (files / "dir" / "a").write_bytes(b"x")
    (files / "dir" / "up").symlink_to(files)
    (files / ".funnel-0123456789abcdef.part").write_bytes(b"half")
    found = [one.name for one in await storage.list_objects(base)]
    assert found[0] == "dir/a"
    assert len(found) <= 2


async def test_a_name_that_ends_a_command_is_not_sent(
    storage: Storage, base: str, files: Path, tmp_path: Path
) -> None:
    (files / "victim").touch()
    (files / "d\rDELE victim").mkdir()
    with pytest.raises(Invalid, match="ends a command"):
        await storage.list_objects(base)
    with pytest.raises(Invalid, match="ends a command"):
        await storage.get(f"{base}/", tmp_path / "to")
    assert (files / "victim").exists()


async def test_a_time_is_told(storage: Storage, base: str, files: Path) -> None:
    (files / "a").write_bytes(b"x")
    os.utime(files / "a", (1_700_000_000, 1_700_000_000))
    found = await storage.stat(f"{base}/a")
    assert found.last_modified
    assert found.last_modified.timestamp() == 1_700_000_000


@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
async def test_a_download_goes_on_where_it_broke_off(
    settings: Settings, scheme: str, server: Server, files: Path, tmp_path: Path
) -> None:
    """The connection that carries the file is not that of the login, so it is not cut by a line."""
    content = os.urandom(8 << 20)
    (files / "a").write_bytes(content)
    url = f"{scheme}://{server.address}/{files.name}/a"
    async with store.opened((settings, HERE, HOST.now)) as one:
        async with one.read(url, 5 << 20, None, "") as reading:
            assert reading.start == 5 << 20
            assert reading.found.size_bytes == len(content)
            assert b"".join([piece async for piece in reading.pieces]) == content[5 << 20 :]
        async with one.read(url, 0, None, "") as reading:
            async for _ in reading.pieces:
                break
        async with one.read(url, 0, None, "") as reading:
            assert b"".join([piece async for piece in reading.pieces]) == content
    del tmp_path


async def test_an_upload_by_tls_that_is_cancelled_leaves_nothing(
    storage: Storage, server: Server, files: Path
) -> None:
    await cancelled(storage, f"ftps://{server.address}/{files.name}/deep/a", files)


async def test_who_shows_another_certificate_is_told_nothing(
    settings: Settings, server: Server, files: Path
) -> None:
    for wrong in (replace(settings, ca_file=""), settings):
        host = "127.0.0.1" if wrong is not settings else "localhost"
        async with opened("ftp", wrong) as storage:
            with pytest.raises(Denied, match=r"certificate.*FTPStorage\.CAFile"):
                await storage.stat(f"ftps://{host}:{server.port}/{files.name}/a")


async def test_authorities_that_cannot_be_read_are_named(server: Server) -> None:
    async with opened("ftp", Settings(ca_file="/none")) as storage:
        with pytest.raises(Invalid, match=r"FTPStorage\.CAFile: cannot use /none"):
            await storage.stat(f"ftps://{server.address}/a")


async def test_tls_may_begin_with_the_first_byte(
    settings: Settings, server: Server, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 990, which the tests may not have."""
    monkeypatch.setattr("funnel.storage.ftp.store.IMPLICIT", server.port + 2)
    async with opened("ftp", settings) as storage:
        url = f"ftps://127.0.0.1:{server.port + 2}/{files.name}/a"
        await storage.put(BytesIO(b"x"), url)
        assert (await storage.stat(url)).size_bytes == 1


async def test_hosts_that_may_not_be_reached_are_not(settings: Settings, base: str) -> None:
    nowhere = replace(HOST, reach=Reach())
    async with opened("ftp", settings, nowhere) as storage:
        for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0x7f000001"):
            with pytest.raises(Denied, match=r"not a public address.*Outbound"):
                await storage.stat(base.replace("127.0.0.1", host))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://",
        "ftp://host",
        "ftp://host/",
        "ftp:///a",
        "ftp://host:99999/a",
        "ftp://ho st/a",
        "ftp://host/a\r\nDELE b",
        "ftp://host/a/../b",
    ],
)
async def test_what_is_no_url_is_refused(storage: Storage, url: str) -> None:
    with pytest.raises(Invalid):
        await storage.stat(url)


async def test_what_is_disabled_takes_nothing() -> None:
    async with opened("ftp", Settings(disabled=True)) as storage:
        assert not storage.takes("ftp://127.0.0.1/a")
