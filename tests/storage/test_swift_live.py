"""What is Swift's own: segments and manifests, tokens, settings."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from faults import Choose
from faulty import Exchange, FaultyLine, Strike, passed, refused
from msgspec import json
from stores import Server
from swift_server import (
    KEYS,
    PART,
    Account,
    account_of,
    forget_tokens,
    login,
    opened,
    shrink_parts,
    swift,
)

from funnel.core.error import Denied, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.ports import Storage
from funnel.storage import parts
from funnel.storage.remote import RemoteStorage
from funnel.storage.swift import upload
from funnel.storage.swift.segments import Old, Segments
from funnel.storage.swift.settings import SwiftSettings, filled
from funnel.testing.build import new_id

LARGE: Final = os.urandom(5 * PART + 7)
LOGIN: Final = "GET /auth/v1.0"
BROKEN: Final = ".funnel-0123456789abcdef"


@pytest.fixture
async def storage(
    swift_server: Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[RemoteStorage]:
    """With segments of 1000 bytes."""
    shrink_parts(monkeypatch)
    async with swift(swift_server) as storage:
        assert isinstance(storage, RemoteStorage)
        yield storage


@pytest.fixture
async def account(swift_server: Server) -> AsyncGenerator[Account]:
    async with account_of(swift_server) as account:
        yield account


@pytest.fixture
def name() -> str:
    return new_id()


async def content(storage: Storage, url: str, folder: Path) -> bytes:
    await storage.get(url, folder / "to")
    return await asyncio.to_thread((folder / "to").read_bytes)


async def manifest(account: Account, path: str, *segments: str) -> None:
    told = [{"path": f"/{one}"} for one in segments]
    await account.done("PUT", f"{path}?multipart-manifest=put", json.encode(told))


async def test_a_large_file_has_segments_and_is_one_object(
    storage: Storage, account: Account, name: str, tmp_path: Path
) -> None:
    stored = await storage.put(BytesIO(LARGE), f"swift://tests/{name}/a")
    found = await storage.stat(f"swift://tests/{name}/a")
    listed = await storage.list_objects(f"swift://tests/{name}")
    assert {stored.size_bytes, found.size_bytes, listed[0].size_bytes} == {len(LARGE)}
    assert stored.etag == found.etag == listed[0].etag
    assert not found.checksums
    segments = await account.names("tests_segments", f"{name}/")
    assert [one[-8:] for one in segments] == [f"{number:08}" for number in range(1, 7)]
    assert await content(storage, f"swift://tests/{name}/a", tmp_path) == LARGE


async def test_more_segments_than_a_manifest_has_lines(
    storage: Storage,
    account: Account,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "MOST", 2)
    await storage.put(BytesIO(LARGE), f"swift://tests/{name}/a")
    assert (await storage.stat(f"swift://tests/{name}/a")).size_bytes == len(LARGE)
    assert await content(storage, f"swift://tests/{name}/a", tmp_path) == LARGE
    # Six segments, three manifests of them, two of those.
    assert len(await account.names("tests_segments", f"{name}/")) == 6 + 3 + 2
    await storage.put(BytesIO(b"small"), f"swift://tests/{name}/a")
    assert await account.names("tests_segments", f"{name}/") == []


async def test_what_replaces_a_large_object_removes_its_segments(
    storage: Storage, account: Account, name: str, tmp_path: Path
) -> None:
    url = f"swift://tests/{name}/a"
    await storage.put(BytesIO(LARGE), f"{url}/b")
    others = await account.names("tests_segments", f"{name}/")
    await storage.put(BytesIO(LARGE), url)
    before = await account.names("tests_segments", f"{name}/a/.funnel")
    await storage.put(BytesIO(LARGE[1:]), url)
    after = await account.names("tests_segments", f"{name}/a/.funnel")
    assert len(before) == len(after) == 6
    assert set(before).isdisjoint(after)
    assert await content(storage, url, tmp_path) == LARGE[1:]
    await storage.put(BytesIO(b"small"), url)
    assert await account.names("tests_segments", f"{name}/") == others
    assert await content(storage, url, tmp_path) == b"small"
    assert await content(storage, f"{url}/b", tmp_path) == LARGE


@pytest.mark.parametrize("content_after", [LARGE[1:], b"small"])
async def test_who_is_killed_before_old_segments_are_gone_leaves_them_to_a_sweep(
    storage: RemoteStorage,
    account: Account,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_after: bytes,
) -> None:
    async def killed(segments: Segments, old: Old) -> None:
        """What would have been next."""
        del segments, old

    url = f"swift://tests/{name}"
    await storage.put(BytesIO(LARGE), url)
    old = await account.names("tests_segments", f"{name}/")
    monkeypatch.setattr(Segments, "forget", killed)
    await storage.put(BytesIO(content_after), url)
    assert await storage.sweep(url, timedelta(0)) == 1
    assert set(old).isdisjoint(await account.names("tests_segments", f"{name}/"))
    assert await content(storage, url, tmp_path) == content_after


async def test_segments_of_other_programs_go_where_they_are_of_that_object_alone(
    storage: Storage, account: Account, name: str
) -> None:
    await storage.put(BytesIO(LARGE), f"swift://tests/{name}/other")
    mine, other = f"tests_segments/{name}/a/slo/1", f"tests_segments/{name}/shared"
    for path in (mine, other):
        await account.done("PUT", f"/{path}", b"content")
    await manifest(account, f"/tests/{name}/a", mine, other)
    await storage.put(BytesIO(b"small"), f"swift://tests/{name}/a")
    left = await account.names("tests_segments", f"{name}/")
    assert f"{name}/shared" in left
    assert f"{name}/a/slo/1" not in left


async def test_a_container_with_versions_keeps_their_segments(
    storage: RemoteStorage, account: Account, name: str
) -> None:
    url = f"swift://kept/{name}"
    for number in range(2):
        await storage.put(BytesIO(LARGE[number:]), url)
    assert len(await account.names("kept_segments", f"{name}/")) == 12
    assert await storage.sweep(url, timedelta(0)) == 0


async def test_a_dynamic_large_object_is_read(
    storage: Storage, account: Account, name: str, tmp_path: Path
) -> None:
    for number in range(3):
        await account.done("PUT", f"/tests/{name}/parts/{number}", b"%d" % number * 1000)
    told = f"tests/{name}/parts/"
    await account.done("PUT", f"/tests/{name}/all", X_Object_Manifest=told)
    found = await storage.stat(f"swift://tests/{name}/all")
    assert (found.size_bytes, found.checksums) == (3000, {})
    wanted = b"0" * 1000 + b"1" * 1000 + b"2" * 1000
    assert await content(storage, f"swift://tests/{name}/all", tmp_path) == wanted


async def test_an_object_that_shows_a_directory_is_no_file(
    storage: RemoteStorage, account: Account, name: str
) -> None:
    for path in ("dir", "dir/", "dir/sub"):
        await account.done("PUT", f"/tests/{name}/{path}", Content_Type="application/directory")
    await storage.put(BytesIO(b"x"), f"swift://tests/{name}/dir/sub/a")
    listed = await storage.list_objects(f"swift://tests/{name}/dir")
    assert [one.name for one in listed] == ["sub/a"]
    with pytest.raises(NotFound):
        await storage.store.stat(f"swift://tests/{name}/dir")
    await account.done("DELETE", f"/tests/{name}/dir/sub/a")
    with pytest.raises(NotFound, match="is no file"):
        await storage.stat(f"swift://tests/{name}/dir/sub")


class Broken(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 4 * PART:
            raise OSError("a bad block")
        return super().read(size)


async def test_an_upload_that_fails_leaves_no_segment(
    storage: Storage, account: Account, name: str
) -> None:
    with pytest.raises(OSError, match="bad block"):
        await storage.put(Broken(LARGE), f"swift://tests/{name}")
    assert await account.names("tests_segments", f"{name}/") == []
    assert await account.names("tests", name) == []


async def left_behind(account: Account, name: str) -> list[str]:
    """What a program leaves that was killed."""
    await account.done("PUT", "/tests_segments")
    names = [f"{name}/{BROKEN}/{one}" for one in ("00000001", "00000002", "begun")]
    for one in names:
        await account.done("PUT", f"/tests_segments/{one}", b"content")
    return names


async def test_a_sweep_removes_what_has_no_end(
    storage: RemoteStorage, account: Account, name: str
) -> None:
    here, beside = await left_behind(account, f"{name}/a"), await left_behind(account, f"{name}b/c")
    below = await left_behind(account, f"{name}/a/x")
    await storage.put(BytesIO(LARGE), f"swift://tests/{name}/whole")
    whole = await account.names("tests_segments", f"{name}/whole/")
    url = f"swift://tests/{name}"
    assert await storage.sweep(f"{url}/", timedelta(days=1)) == 0
    assert await storage.sweep(f"{url}/a", timedelta(0)) == 1
    assert await account.names("tests_segments", name) == [*below, *whole, *beside]
    assert set(here).isdisjoint(await account.names("tests_segments", name))
    assert await storage.sweep(f"{url}/", timedelta(0)) == 1
    assert await account.names("tests_segments", name) == [*whole, *beside]
    assert (await storage.stat(f"{url}/whole")).size_bytes == len(LARGE)


async def test_a_sweep_spares_what_is_in_its_place_by_now(
    storage: RemoteStorage, account: Account, name: str, tmp_path: Path
) -> None:
    names = await left_behind(account, name)
    await manifest(account, f"/tests/{name}", *(f"tests_segments/{one}" for one in names[:2]))
    assert await storage.sweep(f"swift://tests/{name}", timedelta(0)) == 0
    assert await account.names("tests_segments", f"{name}/") == names[:2]
    assert await content(storage, f"swift://tests/{name}", tmp_path) == b"contentcontent"


async def test_where_there_are_no_segments_nothing_is_swept(
    storage: RemoteStorage, account: Account, name: str
) -> None:
    await account.done("PUT", f"/{name}")
    assert await storage.sweep(f"swift://{name}/", timedelta(0)) == 0


async def test_a_container_that_is_not_there_gets_no_segments(
    storage: Storage, account: Account, name: str
) -> None:
    with pytest.raises(NotFound, match=f"swift://{name}/a"):
        await storage.put(BytesIO(LARGE), f"swift://{name}/a")
    assert (await account.do("HEAD", f"/{name}_segments")).status_code == 404


async def test_segments_have_the_rights_of_what_they_are_of(
    storage: Storage, swift_server: Server, account: Account, name: str, tmp_path: Path
) -> None:
    who = "test:reader"
    await account.done("PUT", f"/{name}", X_Container_Read=who, X_Container_Write=who)
    async with swift(swift_server, "reader") as guest:
        with pytest.raises(Denied, match=f"storing in {name}_segments was"):
            await guest.put(BytesIO(LARGE), f"swift://{name}/a")
        assert await account.names(name) == []
        await storage.put(BytesIO(LARGE), f"swift://{name}/a")
        await guest.put(BytesIO(LARGE[1:]), f"swift://{name}/b")
        assert await content(guest, f"swift://{name}/a", tmp_path) == LARGE
        assert await content(guest, f"swift://{name}/b", tmp_path) == LARGE[1:]


def always(strike: Strike, method: str, ending: str = "") -> Choose:
    """For requests that are so."""

    def chosen(_: int, asked: str) -> Strike | None:
        is_meant = asked.startswith(f"{method} ") and asked.endswith(ending)
        return strike if is_meant else None

    return chosen


@asynccontextmanager
async def through(
    server: Server, choice: Choose, **settings: Any
) -> AsyncGenerator[tuple[Storage, FaultyLine]]:
    line = FaultyLine(server.address, choice)
    async with line.running(), opened(login(line.address), **settings) as storage:
        yield storage, line


async def test_who_logs_in_does_it_once(swift_server: Server, name: str) -> None:
    url = f"swift://tests/{name}"
    async with through(swift_server, always(passed, "NONE")) as (storage, line):
        await asyncio.gather(*(storage.put(BytesIO(b"x"), f"{url}/{one}") for one in range(20)))
        assert line.asked.count(LOGIN) == 1
        await asyncio.to_thread(forget_tokens, swift_server)
        assert len(await storage.list_objects(url)) == 20
        assert line.asked.count(LOGIN) == 2


async def test_a_token_that_expires_in_the_middle_is_renewed(
    storage: Storage, swift_server: Server, name: str, tmp_path: Path
) -> None:
    class Expiring(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 3 * PART:
                forget_tokens(swift_server)
            return super().read(size)

    url = f"swift://tests/{name}"
    await storage.put(Expiring(LARGE), url)
    assert await content(storage, url, tmp_path) == LARGE


async def test_a_token_that_is_never_good_is_asked_for_twice(
    swift_server: Server, name: str
) -> None:
    async with through(swift_server, always(refused(401, b"No"), "HEAD")) as (storage, line):
        with pytest.raises(Denied, match=f"swift://tests/{name}"):
            await storage.stat(f"swift://tests/{name}")
        assert line.asked.count(LOGIN) == 2


async def test_a_wrong_key_is_named_by_its_setting(swift_server: Server) -> None:
    async with swift(swift_server, "stranger") as storage:
        with pytest.raises(Denied, match=r"swift://tests/a: logging in .*Swift.UserName") as caught:
            await storage.stat("swift://tests/a")
    assert "guessed" not in str(caught.value)


async def test_a_key_may_be_in_a_file_and_be_another_one_later(
    swift_server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("wrong\n")
    settings = SwiftSettings(
        auth_url=f"http://{swift_server.address}/auth/v1.0",
        user_name="test:tester",
        password_file=str(file),
    )
    async with opened(settings) as storage:
        with pytest.raises(Denied):
            await storage.list_objects("swift://tests/none")
        file.write_text(f"{KEYS['tester']}\n")
        assert await storage.list_objects("swift://tests/none") == []
        file.unlink()
        await asyncio.to_thread(forget_tokens, swift_server)
        with pytest.raises(Invalid, match=r"Swift.PasswordFile: .*No such file"):
            await storage.list_objects("swift://tests/none")


async def test_the_environment_says_who_comes(
    swift_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ST_AUTH", f"http://{swift_server.address}/auth/v1.0")
    monkeypatch.setenv("ST_USER", "test:tester")
    monkeypatch.setenv("ST_KEY", KEYS["tester"])
    async with opened(SwiftSettings()) as storage:
        assert await storage.list_objects("swift://tests/none") == []


async def test_a_quota_is_told_at_once(swift_server: Server, name: str) -> None:
    async with through(swift_server, always(refused(413, b"Full"), "PUT")) as (storage, line):
        with pytest.raises(NoSpace, match="413"):
            await storage.put(BytesIO(b"x"), f"swift://tests/{name}")
        assert len([one for one in line.asked if one.startswith("PUT")]) == 1


async def test_where_nobody_knows_whether_it_is_stored_segments_stay(
    storage: RemoteStorage,
    swift_server: Server,
    account: Account,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store has put the manifest in place, and says each time that it has failed."""

    async def unheard(exchange: Exchange) -> web.StreamResponse:
        await exchange.forward()
        return await refused(503, b"ServiceUnavailable")(exchange)

    monkeypatch.setattr(parts, "TRIES", 1)
    choice, url = always(unheard, "PUT", "=put"), f"swift://tests/{name}"
    async with through(swift_server, choice, max_retries=0) as (failing, _):
        with pytest.raises(Unavailable, match="503"):
            await failing.put(BytesIO(LARGE), url)
    assert await content(storage, url, tmp_path) == LARGE
    assert await storage.sweep(url, timedelta(0)) == 0
    assert await content(storage, url, tmp_path) == LARGE
    assert not [one for one in await account.names("tests_segments", name) if "begun" in one]


@pytest.mark.parametrize(
    "url",
    [
        *("swift://", "swift://tests", "swift://tests/", "swift://tests/a/", "swift://tests/../a"),
        *("swift://../a", f"swift://{'c' * 257}/a", f"swift://tests/{'n' * 1025}", "swift:///a"),
        "swift://tests/\udc80",
    ],
)
async def test_a_url_that_names_nothing_is_refused(swift_server: Server, url: str) -> None:
    async with swift(swift_server) as storage:
        with pytest.raises(Invalid, match="swift://"):
            await storage.put(BytesIO(b"x"), url)


async def test_a_name_that_leaves_no_room_for_segments_is_refused(storage: Storage) -> None:
    url = f"swift://tests/{new_id()}{'n' * 990}"
    with pytest.raises(Invalid, match="too long"):
        await storage.put(BytesIO(LARGE), url)
    assert (await storage.put(BytesIO(b"small"), url)).size_bytes == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth_url": "keystone:5000"}, "AuthURL"),
        ({"auth_url": "http://keystone:port"}, "AuthURL"),
        ({"storage_url": "https:///v1/AUTH_test"}, "StorageURL"),
        ({"interface": "outside"}, "Interface"),
        ({"auth_version": "4"}, "AuthVersion"),
        ({"ca_file": "/none"}, "CAFile"),
        ({"auth_url": ""}, "AuthURL is missing"),
    ],
)
async def test_settings_that_cannot_be_are_named(settings: dict[str, str], said: str) -> None:
    """When the first URL comes; others go on."""
    async with opened(login("127.0.0.1:9"), **settings) as storage:
        with pytest.raises(FunnelError, match=f"Swift.{said}"):
            await storage.stat("swift://tests/a")


async def test_a_server_that_is_away_is_not_asked_before_it_is_needed() -> None:
    async with opened(login("127.0.0.1:9"), max_retries=0) as storage:
        assert storage.takes("swift://tests/a")
        with pytest.raises(Unavailable, match=r"swift://tests/a: logging in at http://127"):
            await storage.stat("swift://tests/a")


async def test_what_is_switched_off_takes_nothing() -> None:
    async with opened(SwiftSettings(disabled=True)) as storage:
        assert not storage.takes("swift://tests/a")


def test_what_the_settings_say_is_before_the_environment(tmp_path: Path) -> None:
    around = {
        "OS_AUTH_URL": "https://around/v2.0",
        "OS_USERNAME": "around",
        "OS_PASSWORD": "swordfish",
        "OS_PROJECT_NAME": "project",
        "OS_APPLICATION_CREDENTIAL_ID": "credential",
        "ST_USER": "old",
    }
    found = filled(SwiftSettings(auth_url="https://settings/v3"), around)
    assert (found.auth_url, found.version) == ("https://settings/v3", 3)
    assert (found.user_name, found.tenant_name) == ("around", "project")
    assert (found.password.reveal(), found.application_credential_id) == ("swordfish", "credential")
    assert "swordfish" not in repr(found)
    mine = SwiftSettings(auth_url="https://settings", user_name="mine", password_file=str(tmp_path))
    found = filled(mine, around)
    assert (found.user_name, bool(found.password), found.version) == ("mine", False, 3)
    assert not found.application_credential_id


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://host/auth/v1.0", 1),
        ("https://host/v1", 1),
        ("https://host:5000/v2.0/", 2),
        ("https://host/identity/v3", 3),
        ("https://host:5000", 3),
    ],
)
def test_the_version_is_in_the_url(url: str, version: int) -> None:
    assert SwiftSettings(auth_url=url).version == version
