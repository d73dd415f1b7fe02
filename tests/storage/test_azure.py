"""Azure Blob Storage, against Azurite."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web
from azure_server import ACCOUNT, HOST, KEY, blobs, root, signature
from stores import Server

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import find, storage_names
from funnel.ports import Storage
from funnel.storage.azure.failure import failure
from funnel.storage.azure.plugin import PLUGIN, AzureAccount, AzureSettings, accounts
from funnel.storage.content import PART
from funnel.storage.router import Router
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite

GUESSED = "Z3Vlc3NlZA=="


@pytest.fixture
async def storage(azure: Server) -> AsyncGenerator[Storage]:
    async with blobs(azure, key=KEY) as storage:
        yield storage


@pytest.fixture
def base() -> str:
    return f"az://tests/{new_id()}"


class TestAzure(RemoteStorageSuite):
    has_directories = False
    # Of small files alone, see below.
    decides = False
    # Azure itself takes a backslash for a slash, so that we refuse it.
    names = tuple(one for one in RemoteStorageSuite.names if "\\" not in one)

    @pytest.fixture
    async def reader(self, azure: Server) -> AsyncGenerator[Storage]:
        async with blobs(azure, sas_token=signature("rl")) as storage:
            yield storage

    @pytest.fixture
    async def stranger(self, azure: Server) -> AsyncGenerator[Storage]:
        async with blobs(azure, key=GUESSED) as storage:
            yield storage

    @pytest.fixture
    def nowhere(self) -> str:
        return "az://nowhere"


async def test_what_a_signature_allows_is_done(azure: Server, base: str, tmp_path: Path) -> None:
    async with blobs(azure, sas_token=f"?{signature('rwlc')}") as storage:
        await storage.put(BytesIO(bytes(3 * PART)), f"{base}/a")
        await storage.get(f"{base}/a", tmp_path / "a")
    assert (tmp_path / "a").stat().st_size == 3 * PART


async def test_a_signature_whose_time_is_over_is_denied_and_not_shown(
    azure: Server, base: str
) -> None:
    token = signature("rl", timedelta(hours=-1))
    async with blobs(azure, sas_token=token) as storage:
        with pytest.raises(Denied, match=f"{base}/a.*403 .*SASToken of account {ACCOUNT}") as told:
            await storage.list_objects(f"{base}/a")
    assert "sig=" not in str(told.value)


async def test_who_does_not_log_in_reads_what_is_public(
    storage: Storage, azure: Server, base: str, tmp_path: Path
) -> None:
    public = base.replace("tests", "public")
    await storage.put(BytesIO(b"x"), f"{public}/a")
    await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure, anonymous=True) as nobody:
        await nobody.get(f"{public}/a", tmp_path / "a")
        assert [one.name for one in await nobody.list_objects(public)] == ["a"]
        with pytest.raises(Denied, match="is Anonymous"):
            await nobody.put(BytesIO(b"x"), f"{public}/b")
        with pytest.raises(Denied, match="is Anonymous"):
            await nobody.get(f"{base}/a", tmp_path / "b")


async def test_secrets_may_be_in_files(azure: Server, base: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    async with blobs(azure, key_file=str(tmp_path / "key")) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure, key_file=str(tmp_path / "none")) as storage:
        with pytest.raises(Invalid, match=f"account {ACCOUNT} .*none"):
            await storage.stat(f"{base}/a")


async def test_an_account_by_its_own_url(azure: Server, base: str, tmp_path: Path) -> None:
    """As others write them, with what is odd in percents."""
    more = AzureAccount(account=ACCOUNT, endpoint=root(azure), key=Secret(KEY))
    url = base.replace("az:/", root(azure))
    async with blobs(azure, key=GUESSED) as denied:
        with pytest.raises(Denied):
            await denied.list_objects(url)
    async with PLUGIN.make(AzureSettings(accounts=(more,)), HOST) as storage:
        await storage.put(BytesIO(b"x"), f"{url}/dir/a%20b")
        await storage.get(f"{base}/dir/a b", tmp_path / "to")
        assert [one.name for one in await storage.list_objects(f"{url}/dir")] == ["a b"]
        await storage.put(BytesIO(b"x"), f"{base}/dir/100%25")
        with pytest.raises(Invalid, match="write its directory as az://"):
            await storage.list_objects(f"{url}/dir")


async def test_which_urls_are_those_of_accounts() -> None:
    settings = AzureSettings(account="one", accounts=(AzureAccount(account="two"),))
    async with PLUGIN.make(settings, HOST) as storage:
        for account in ("one", "two"):
            assert storage.takes(f"https://{account}.blob.core.windows.net/c/b")
        assert not storage.takes("https://three.blob.core.windows.net/c/b")
        assert not storage.takes("https://one.blob.core.windows.net/c/b?sig=x")
        assert not storage.takes("https://one.blob.core.windows.net.example.org/c/b")
        assert storage.takes("az://c/b?x")
    async with PLUGIN.make(AzureSettings(account="one", disabled=True), HOST) as storage:
        assert not storage.takes("az://c/b")


async def test_a_url_of_an_account_is_not_any_web_address() -> None:
    assert storage_names().index("http") == len(storage_names()) - 1
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                find("storage", name).make(
                    AzureSettings(account="one")
                    if name == "azure"
                    else find("storage", name).settings(),
                    HOST,
                )
            )
            for name in storage_names()
        ]
        router = Router(opened)
        # Web servers have no directories, accounts have no container of this name.
        with pytest.raises(Invalid, match="names no container"):
            await router.list_objects("https://one.blob.core.windows.net/C/b")
        with pytest.raises(Invalid, match="web servers do not list"):
            await router.list_objects("https://two.blob.core.windows.net/C/b")


def test_the_account_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "theirs")
    more = AzureAccount(account="more")
    assert [one.account for one in accounts(AzureSettings(accounts=(more,)))] == ["theirs", "more"]
    assert accounts(AzureSettings(account="ours"))[0].account == "ours"


async def test_what_the_environment_says_is_for_who_has_no_key(
    azure: Server, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", signature("rwlc"))
    async with blobs(azure) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure, key=GUESSED) as storage:
        with pytest.raises(Denied, match="check Key of"):
            await storage.stat(f"{base}/a")


async def test_a_machine_of_azure_s_has_an_identity(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator knows none, so that who asks is looked at here."""
    seen: list[str] = []

    async def token(request: web.Request) -> web.Response:
        seen.append(request.query["resource"])
        until = str(int(now().timestamp()) + 3600)
        told = {"access_token": "machines", "expires_in": "3600", "expires_on": until}
        return web.json_response(told)

    async def blob(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=403)

    app = web.Application()
    app.router.add_get("/token", token)
    app.router.add_route("*", "/ours/{path:.*}", blob)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        monkeypatch.setenv("AZURE_MSI_ENDPOINT", f"{address}/token")
        settings = AzureSettings(account="ours", endpoint=f"{address}/ours")
        async with PLUGIN.make(settings, HOST) as storage:
            with pytest.raises(Denied, match="identity of this machine"):
                await storage.list_objects(base)
    finally:
        await runner.cleanup()
    assert seen == ["https://storage.azure.com", "Bearer machines"]


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a//b", "a/../b", "..", "a/", "a.", "a\\b", "n" * 1025]
)
async def test_a_name_that_would_not_be_kept_is_refused(
    storage: Storage, base: str, name: str
) -> None:
    url = f"az://tests/{name}" if not name.strip("/.") else f"{base}/{name}"
    with pytest.raises(Invalid, match="a name"):
        await storage.put(BytesIO(b"x"), url)


@pytest.mark.parametrize("container", ["", "No", "x", "a--b", "a_b", "-ab"])
async def test_a_container_that_cannot_be_is_refused(storage: Storage, container: str) -> None:
    with pytest.raises(Invalid, match="names no container"):
        await storage.stat(f"az://{container}/a")


async def test_a_key_that_is_none_is_not_shown(azure: Server, base: str) -> None:
    async with blobs(azure, key="swordfish!") as storage:
        with pytest.raises(Invalid, match="invalid access key") as told:
            await storage.stat(f"{base}/a")
    assert "swordfish" not in str(told.value)


async def test_without_an_account_the_setting_is_named() -> None:
    async with PLUGIN.make(AzureSettings(), HOST) as storage:
        with pytest.raises(Invalid, match=r"AzureStorage\.Account"):
            await storage.stat("az://tests/a")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("status code: 404 Not Found", NotFound),
        ("status code: 401 Unauthorized", Denied),
        ("status code: 400 Bad Request", Invalid),
        ("status code: 409 Conflict: <Code>BlobAlreadyExists</Code>", Exists),
        ("status code: 429 Too Many Requests", Unavailable),
        ("status code: 503 Server Busy", Unavailable),
        ("status code: 507 Full", NoSpace),
        ("HTTP error: error sending request for url (http://x/?sig=swordfish)", Unavailable),
    ],
)
def test_what_failures_mean(text: str, kind: type[FunnelError]) -> None:
    found = failure("az://c/b", "reading", text, AzureAccount(account="ours"))
    assert type(found) is kind
    assert "swordfish" not in str(found)


async def test_a_large_file_of_odd_size_comes_back(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    content = os.urandom(2 * PART + 5)
    stored = await storage.put(BytesIO(content), f"{base}/a")
    assert stored.etag
    assert stored.etag == (await storage.stat(f"{base}/a")).etag
    await storage.get(f"{base}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content


async def test_azure_decides_who_of_several_stores_what_replaces_nothing(
    storage: Storage, base: str
) -> None:
    answers = await asyncio.gather(
        *(storage.put(BytesIO(b"x"), f"{base}/a", overwrite=False) for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in answers) == [*["Exists"] * 4, "Object"]


async def test_a_large_file_that_is_to_replace_nothing_is_refused(
    storage: Storage, base: str
) -> None:
    with pytest.raises(Invalid, match="more than 16 MiB cannot be stored at Azure only where"):
        await storage.put(BytesIO(bytes(2 * PART + 1)), f"{base}/a", overwrite=False)
    assert await storage.list_objects(base) == []
