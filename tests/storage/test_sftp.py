"""SFTP, at an OpenSSH of its own."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from files import Hearing, cut, opened, there
from fileservers import FileServerSuite
from msgspec.structs import replace
from proxy import Proxy
from sftp_server import USER
from stores import Server

from funnel.core.error import Denied, Invalid, NotFound
from funnel.core.secret import Secret
from funnel.ports import Storage
from funnel.storage.sftp.settings import Account, Settings
from funnel.testing.build import new_id

pytestmark = [pytest.mark.xdist_group("sftp"), pytest.mark.timeout(120)]

SHORT = timedelta(milliseconds=300)


@pytest.fixture
def server(sftp_server: Server) -> Server:
    return sftp_server


@pytest.fixture
def files(server: Server) -> Iterator[Path]:
    """Where a test has its files, on this machine."""
    found = server.home / "data" / "files" / new_id()
    found.mkdir()
    shutil.chown(found, USER)
    yield found
    shutil.rmtree(found)


@pytest.fixture
def base(server: Server, files: Path) -> str:
    return f"sftp://{server.address}{files}"


@pytest.fixture
def settings(server: Server) -> Settings:
    return Settings(
        user=USER,
        key_file=f"{server.home}/data/client",
        known_hosts_file=f"{server.home}/data/known_hosts",
    )


@pytest.fixture
async def storage(settings: Settings) -> AsyncGenerator[Storage]:
    async with opened("sftp", settings) as found:
        yield found


@pytest.fixture
def by_line(server: Server, settings: Settings, line: Proxy, tmp_path: Path) -> Settings:
    """For who goes through `line`, which shows the server's key at another port."""
    key = (server.home / "data" / "known_hosts").read_text().split(" ", 1)[1]
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{line.port} {key}")
    return replace(settings, known_hosts_file=str(known))


@pytest.fixture
def config(settings: Settings) -> str:
    return f"""
SFTPStorage:
  User: {settings.user}
  KeyFile: {settings.key_file}
  KnownHostsFile: {settings.known_hosts_file}
"""


@pytest.fixture
async def far(by_line: Settings, line: Proxy, files: Path) -> AsyncGenerator[tuple[Storage, str]]:
    async with opened("sftp", by_line) as storage:
        yield storage, f"sftp://127.0.0.1:{line.port}{files}"


@pytest.fixture
async def far_and_short(
    by_line: Settings, far: tuple[Storage, str]
) -> AsyncGenerator[tuple[Storage, str]]:
    async with opened("sftp", replace(by_line, timeout=SHORT)) as storage:
        yield storage, far[1]


class TestSFTP(FileServerSuite):
    """A key of the settings, and the user too."""

    plugin = "sftp"
    library = "asyncssh"
    modules = ("store", "session")


def by_password(one: Settings) -> Settings:
    return replace(one, key_file="", password=Secret("testing"))


def by_host(one: Settings) -> Settings:
    hosts = (
        Account(host="elsewhere", user="else", password=Secret("wrong")),
        Account(host="127.0.0.1", user=USER, key_file=one.key_file),
    )
    return replace(one, user="nobody", key_file="", hosts=hosts)


@pytest.mark.parametrize("login", [by_password, by_host])
async def test_users_are_of_the_settings(
    settings: Settings, base: str, login: Callable[[Settings], Settings]
) -> None:
    async with opened("sftp", login(settings)) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
        assert (await storage.stat(f"{base}/a")).size_bytes == 1


async def test_a_user_of_the_url_has_the_password_of_the_url(
    settings: Settings, server: Server, files: Path
) -> None:
    alone = Settings(known_hosts_file=settings.known_hosts_file)
    async with opened("sftp", alone) as storage:
        url = f"sftp://funnel%2Dsftp:test%69ng@{server.address}{files}/a"
        await storage.put(BytesIO(b"x"), url)
        assert there(files) == ["a"]
        with pytest.raises(Denied, match=r"refused the login of funnel-sftp.*SFTPStorage") as told:
            await storage.stat(url.replace("test%69ng", "sword%66ish"))
        assert "swordfish" not in str(told.value)
        assert "sword%66ish" not in str(told.value)


async def test_a_key_of_ours_is_for_its_user_alone(storage: Storage, base: str) -> None:
    with pytest.raises(Denied, match="no key or password for user root"):
        await storage.stat(base.replace("://", "://root@"))
    with pytest.raises(NotFound):
        await storage.stat(base.replace("://", f"://{USER}@") + "/none")


async def test_without_a_user_it_says_where_one_goes(settings: Settings, base: str) -> None:
    async with opened("sftp", replace(settings, user="")) as storage:
        with pytest.raises(Denied, match=r"SFTPStorage\.User"):
            await storage.stat(f"{base}/a")


async def test_a_host_that_is_not_known_is_not_asked(
    settings: Settings, server: Server, base: str, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"elsewhere {(server.home / 'data' / 'client.pub').read_text()}")
    for file, what in (
        ("", r"KnownHostsFile is empty.*ssh-keyscan -p \d+ 127\.0\.0\.1"),
        (str(known), r"is not in SFTPStorage\.KnownHostsFile.*ssh-keyscan"),
    ):
        async with opened("sftp", replace(settings, known_hosts_file=file)) as storage:
            with pytest.raises(Denied, match=what):
                await storage.stat(f"{base}/a")


async def test_a_host_with_another_key_is_refused(
    settings: Settings, server: Server, base: str, tmp_path: Path
) -> None:
    client = (server.home / "data" / "client.pub").read_text().split()[1]
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} ssh-ed25519 {client}\n")
    async with opened("sftp", replace(settings, known_hosts_file=str(known))) as storage:
        with pytest.raises(Denied, match=r"shows another key than SFTPStorage\.KnownHostsFile"):
            await storage.stat(f"{base}/a")


async def test_files_of_the_settings_that_are_of_no_use_are_named(
    settings: Settings, base: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_text("no key")
    for wrong, what in (
        (replace(settings, key_file=str(tmp_path / "bad")), r"SFTPStorage\.KeyFile.*bad"),
        (replace(settings, key_file="/none"), r"SFTPStorage\.KeyFile.*/none"),
        (replace(settings, known_hosts_file="/none"), r"SFTPStorage\.KnownHostsFile.*/none"),
    ):
        async with opened("sftp", wrong) as storage:
            with pytest.raises(Invalid, match=what):
                await storage.stat(f"{base}/a")


async def test_what_the_user_may_not_is_denied(
    storage: Storage, base: str, files: Path, tmp_path: Path
) -> None:
    (files / "closed").mkdir(mode=0o755)
    (files / "secret").write_bytes(b"x")
    (files / "secret").chmod(0o600)
    with pytest.raises(Denied, match="cannot store it"):
        await storage.put(BytesIO(b"x"), f"{base}/closed/a")
    with pytest.raises(Denied, match="cannot store it"):
        await storage.put(BytesIO(b"x"), f"{base}/closed/deep/a")
    with pytest.raises(Denied, match="cannot open it"):
        await storage.get(f"{base}/secret", tmp_path / "to")
    assert there(files) == ["secret"]


async def test_links_are_left_out_of_lists(
    storage: Storage, base: str, files: Path, tmp_path: Path
) -> None:
    (files / "a").write_bytes(b"x")
    (files / "link").symlink_to("a")
    (files / "out").symlink_to("/etc")
    (files / ".funnel-0123456789abcdef.part").write_bytes(b"half")
    assert [one.name for one in await storage.list_objects(base)] == ["a"]
    await storage.get(f"{base}/link", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"x"


async def test_a_path_below_the_home_of_the_user(
    storage: Storage, server: Server, files: Path, tmp_path: Path
) -> None:
    await storage.put(BytesIO(b"x"), f"sftp://{server.address}/~/{files.name}/deep/a")
    assert there(files) == ["deep/a"]
    await storage.get(f"sftp://{server.address}/~/{files.name}/deep/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"x"


async def test_a_download_goes_on_where_it_broke_off(
    by_line: Settings, line: Proxy, files: Path, tmp_path: Path
) -> None:
    content = os.urandom(64 << 20)
    (files / "a").write_bytes(content)
    share = Hearing(8 << 20, lambda: cut(line))
    async with opened("sftp", by_line) as storage:
        await storage.get(f"sftp://127.0.0.1:{line.port}{files}/a", tmp_path / "to", share)
    assert (tmp_path / "to").read_bytes() == content
    assert share.called
    assert share.count == len(content)


async def test_what_is_disabled_takes_nothing() -> None:
    async with opened("sftp", Settings(disabled=True)) as storage:
        assert not storage.takes("sftp://127.0.0.1/a")


async def test_opening_costs_no_library() -> None:
    code = "import funnel.storage.sftp.plugin, sys; assert 'asyncssh' not in sys.modules"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True)
