"""Google Storage, against fake-gcs-server."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import gcloud.aio.auth.token
import pytest
from aiohttp import web
from gcs_server import OTHER, Doorkeeper, doorkeeper, google
from msgspec import json
from stores import Server
from webapp import served

from funnel.core.error import Denied, FunnelError, Invalid, Unavailable
from funnel.net.session import session
from funnel.ports import Remover, Storage
from funnel.storage.content import PART
from funnel.storage.google import credentials
from funnel.storage.google.credentials import VARIABLE, Account
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite


@pytest.fixture
async def door(gcs: Server) -> AsyncGenerator[Doorkeeper]:
    async with doorkeeper(gcs) as found:
        yield found


@pytest.fixture
async def known(door: Doorkeeper, tmp_path: Path) -> AsyncGenerator[Storage]:
    file = door.account(tmp_path, "writer")
    async with google(endpoint_url=door.address, credentials_file=file) as storage:
        yield storage


@pytest.fixture
def base() -> str:
    return f"gs://tests/{new_id()}"


class TestGoogle(RemoteStorageSuite):
    """The emulator heeds conditions of one kind of upload alone, which is none of ours."""

    has_directories = False
    decides = False

    @pytest.fixture
    async def storage(self, gcs: Server) -> AsyncGenerator[Storage]:
        async with google(endpoint_url=f"http://{gcs.address}") as storage:
            yield storage

    @pytest.fixture
    async def reader(self, door: Doorkeeper, tmp_path: Path) -> AsyncGenerator[Storage]:
        file = door.account(tmp_path, "reader")
        async with google(endpoint_url=door.address, credentials_file=file) as storage:
            yield storage

    @pytest.fixture
    async def stranger(self, door: Doorkeeper, tmp_path: Path) -> AsyncGenerator[Storage]:
        file = door.account(tmp_path, "stranger", OTHER)
        async with google(endpoint_url=door.address, credentials_file=file) as storage:
            yield storage

    @pytest.fixture
    def nowhere(self) -> str:
        return "gs://nowhere"


async def test_a_service_account_logs_in_once(
    known: Storage, door: Doorkeeper, base: str, tmp_path: Path
) -> None:
    await asyncio.gather(*(known.put(BytesIO(b"x"), f"{base}/{one}") for one in range(20)))
    await known.get(f"{base}/1", tmp_path / "to")
    assert door.renewals == 1


async def test_a_token_that_was_taken_back_is_renewed(
    known: Storage, door: Doorkeeper, base: str
) -> None:
    await known.put(BytesIO(b"x"), f"{base}/a")
    door.valid.clear()
    assert (await known.stat(f"{base}/a")).size_bytes == 1
    assert door.renewals == 2


async def test_who_does_not_log_in_is_told_how(door: Doorkeeper, base: str) -> None:
    async with google(endpoint_url=door.address) as storage:
        with pytest.raises(Denied, match=r"gs://tests/.*Invalid Credentials; .*CredentialsFile"):
            await storage.stat(f"{base}/a")
    assert not door.renewals


async def test_what_google_says_of_a_wrong_key_is_told(
    door: Doorkeeper, base: str, tmp_path: Path
) -> None:
    file = door.account(tmp_path, "stranger", OTHER)
    async with google(endpoint_url=door.address, credentials_file=file) as storage:
        with pytest.raises(Denied, match=r"CredentialsFile: .*invalid_grant: Invalid JWT"):
            await storage.stat(f"{base}/a")


@pytest.mark.parametrize("trouble", ["lost", "unheard"])
@pytest.mark.parametrize("number", range(3))
async def test_an_upload_goes_on_where_it_was_kept_to(
    known: Storage, door: Doorkeeper, base: str, tmp_path: Path, trouble: str, number: int
) -> None:
    content = os.urandom(2 * PART + 5)
    door.trouble = ["none"] * number + [trouble]
    await known.put(BytesIO(content), f"{base}/a")
    await known.get(f"{base}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content
    begun = [one for one in door.asked if "uploadType=resumable" in one and "POST" in one]
    assert len(begun) == 1 or (trouble, number) == ("unheard", 2)


SMALL, LARGE = b"small", bytes(2 * PART + 5)


@pytest.mark.parametrize(
    ("content", "trouble"),
    [(SMALL, ["spoiled"]), (LARGE, ["spoiled"]), (LARGE, ["none", "none", "spoiled"])],
)
async def test_what_is_spoiled_on_the_way_is_refused_and_sent_anew(
    known: Storage, door: Doorkeeper, base: str, tmp_path: Path, content: bytes, trouble: list[str]
) -> None:
    door.trouble = trouble
    await known.put(BytesIO(content), f"{base}/a")
    await known.get(f"{base}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content
    begun = [one for one in door.asked if "POST" in one]
    assert len(begun) == 2
    assert not any("generation" in one for one in door.asked if "DELETE" in one)


@pytest.mark.parametrize("content", [SMALL, LARGE])
async def test_what_is_wrong_at_the_store_does_not_stay(
    door: Doorkeeper, base: str, tmp_path: Path, content: bytes
) -> None:
    file = door.account(tmp_path, "writer")
    async with google(endpoint_url=door.address, credentials_file=file) as storage:
        assert isinstance(storage, RemoteStorage)
        impatient = RemoteStorage(storage.store, Patience(tries=2, first=0.0))
        door.trouble = (["spoiled unseen"] * (3 if content is LARGE else 1)) * 2
        with pytest.raises(Unavailable, match=f"{base}/a has the MD5 .*, and was sent as"):
            await impatient.put(BytesIO(content), f"{base}/a")
        assert await impatient.list_objects(base) == []


async def test_only_our_own_version_is_removed(known: Storage, door: Doorkeeper, base: str) -> None:
    assert isinstance(known, RemoteStorage)
    assert isinstance(known.store, Remover)
    ours = await known.put(BytesIO(b"ours"), f"{base}/a")
    await known.put(BytesIO(b"theirs"), f"{base}/a")
    await known.store.remove(ours)
    assert (await known.stat(f"{base}/a")).size_bytes == 6
    await known.store.remove(await known.stat(f"{base}/a"))
    assert await known.list_objects(base) == []
    assert "ifGenerationMatch" in door.asked[-2]


async def test_an_upload_that_fails_is_dropped(known: Storage, door: Doorkeeper, base: str) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 2 * PART:
                raise OSError("a bad block")
            return super().read(size)

    with pytest.raises(OSError, match="bad block"):
        await known.put(Broken(bytes(3 * PART)), f"{base}/a")
    assert door.asked[-1].startswith("DELETE /upload/")
    assert await known.list_objects(base) == []


async def test_who_asks_pays(door: Doorkeeper, base: str, tmp_path: Path) -> None:
    file = door.account(tmp_path, "writer")
    async with google(
        endpoint_url=door.address, credentials_file=file, user_project="ours"
    ) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
        await storage.put(BytesIO(bytes(3 * PART)), f"{base}/b")
        await storage.get(f"{base}/a", tmp_path / "to")
        await storage.list_objects(base)
    asked = [one for one in door.asked if "upload_id" not in one]
    assert asked
    assert all("userProject=ours" in one for one in asked)


async def test_the_emulator_of_the_environment_is_used(
    gcs: Server, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.address)
    async with google() as storage:
        assert (await storage.put(BytesIO(b"x"), f"{base}/a")).size_bytes == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("not JSON", "not JSON"),
        ("[]", "no credentials of Google"),
        ('{"type": "unheard_of"}', "no credentials of Google"),
        ('{"type": "external_account"}', "lacks what its kind needs"),
        ('{"type": "service_account", "private_key": "swordfish"}', "is of no use"),
    ],
)
@pytest.mark.parametrize("by", ["setting", "variable"])
async def test_a_file_that_is_no_key_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str, by: str
) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    if by == "variable":
        monkeypatch.setenv(VARIABLE, str(file))
    async with session() as web_session:
        account = Account(str(file) if by == "setting" else "", web_session)
        name = VARIABLE if by == "variable" else "CredentialsFile"
        with pytest.raises(Invalid, match=f"{name}.*{said}") as caught:
            await account.token()
    assert "swordfish" not in str(caught.value)


async def test_a_user_who_has_logged_in_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `gcloud auth application-default login` leaves it."""
    asked: list[str] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(str((await request.post())["refresh_token"]))
        return web.json_response({"access_token": "users", "expires_in": 3600})

    async with AsyncExitStack() as stack:
        address = await _serving(stack, "/token", token)
        told = {
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "again",
            "token_uri": f"{address}/token",
        }
        (tmp_path / "application_default_credentials.json").write_bytes(json.encode(told))
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        account = Account("", await stack.enter_async_context(session()))
        assert await account.token() == "users"
    assert asked == ["again"]


async def test_a_machine_of_google_s_has_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def token(request: web.Request) -> web.Response:
        assert request.headers["Metadata-Flavor"] == "Google"
        return web.json_response({"access_token": "machines", "expires_in": 3600})

    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    async with AsyncExitStack() as stack:
        address = await _serving(stack, "/token", token)
        monkeypatch.setattr(gcloud.aio.auth.token, "GCE_ENDPOINT_TOKEN", f"{address}/token")
        account = Account("", await stack.enter_async_context(session()))
        assert await account.token() == "machines"


async def test_a_token_that_holds_serves_on_where_no_new_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = [True]

    async def token(_: web.Request) -> web.Response:
        if not well[0]:
            return web.Response(status=404)
        return web.json_response({"access_token": "machines", "expires_in": 3600})

    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    async with AsyncExitStack() as stack:
        address = await _serving(stack, "/token", token)
        monkeypatch.setattr(gcloud.aio.auth.token, "GCE_ENDPOINT_TOKEN", f"{address}/token")
        account = Account("", await stack.enter_async_context(session()))
        assert await account.token() == "machines"
        well[0] = False
        start = asyncio.get_running_loop().time()
        monkeypatch.setattr(credentials, "_now", lambda: start + 3400)
        assert await account.token() == "machines"
        monkeypatch.setattr(credentials, "_now", lambda: start + 3700)
        with pytest.raises(Denied, match="no token for Google Storage: 404"):
            await account.token()


async def test_where_nothing_is_found_nobody_logs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr(gcloud.aio.auth.token, "GCE_ENDPOINT_TOKEN", "http://127.0.0.1:9/token")
    async with session() as web_session:
        assert await Account("", web_session).token() == ""


@pytest.mark.parametrize(
    "url", ["gs://", "gs://tests", "gs://tests/", "gs://Tests/a", "gs://t?x/a", "gs://tests/.."]
)
async def test_a_url_that_names_nothing_is_refused(gcs: Server, url: str) -> None:
    async with google(endpoint_url=f"http://{gcs.address}") as storage:
        with pytest.raises(Invalid, match="gs://"):
            await storage.put(BytesIO(b"x"), url)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"endpoint_url": "localhost:1"}, "EndpointURL"),
        ({"anonymous": True, "credentials_file": "key.json"}, "Anonymous and CredentialsFile"),
    ],
)
async def test_settings_that_cannot_be_are_named(settings: dict[str, object], said: str) -> None:
    async with google(**settings) as storage:
        with pytest.raises(FunnelError, match=said):
            await storage.stat("gs://tests/a")


async def test_what_is_switched_off_takes_nothing() -> None:
    async with google(disabled=True) as storage:
        assert not storage.takes("gs://tests/a")


async def _serving(
    stack: AsyncExitStack, path: str, handle: Callable[[web.Request], Awaitable[web.Response]]
) -> str:
    app = web.Application()
    app.router.add_route("*", path, handle)
    return await stack.enter_async_context(served(app))


@pytest.mark.parametrize("size", [3, 2 * PART + 1])
async def test_google_decides_who_of_several_stores_what_replaces_nothing(
    known: Storage, base: str, size: int
) -> None:
    answers = await asyncio.gather(
        *(known.put(BytesIO(bytes(size)), f"{base}/a", overwrite=False) for _ in range(3)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in answers) == ["Exists", "Exists", "Object"]
    assert len(await known.list_objects(base)) == 1
