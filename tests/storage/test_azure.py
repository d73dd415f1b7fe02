"""Azure Blob Storage, against Azurite."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from azure_server import ACCOUNT, HOST, KEY, blobs, root, signature
from stores import Server

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.plugins import find, storage_names
from funnel.ports import Storage
from funnel.storage.azure.failure import Refusal, failure
from funnel.storage.azure.plugin import PLUGIN
from funnel.storage.azure.settings import AzureAccount, AzureSettings, accounts
from funnel.storage.content import PART
from funnel.storage.router import Router
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite

pytestmark = pytest.mark.timeout(180)

GUESSED = "Z3Vlc3NlZA=="


@pytest.fixture
async def storage(azure: Server) -> AsyncGenerator[Storage]:
    async with blobs(azure.address, key=KEY) as storage:
        yield storage


@pytest.fixture
def base() -> str:
    return f"az://tests/{new_id()}"


class TestAzure(RemoteStorageSuite):
    has_directories = False
    # Azure itself takes a backslash for a slash, so that we refuse it.
    names = tuple(one for one in RemoteStorageSuite.names if "\\" not in one)

    @pytest.fixture
    async def reader(self, azure: Server) -> AsyncGenerator[Storage]:
        async with blobs(azure.address, sas_token=signature("rl")) as storage:
            yield storage

    @pytest.fixture
    async def stranger(self, azure: Server) -> AsyncGenerator[Storage]:
        async with blobs(azure.address, key=GUESSED) as storage:
            yield storage

    @pytest.fixture
    def nowhere(self) -> str:
        return "az://nowhere"


async def test_what_a_signature_allows_is_done(azure: Server, base: str, tmp_path: Path) -> None:
    async with blobs(azure.address, sas_token=f"?{signature('rwlc')}") as storage:
        await storage.put(BytesIO(bytes(3 * PART)), f"{base}/a")
        await storage.get(f"{base}/a", tmp_path / "a")
    assert (tmp_path / "a").stat().st_size == 3 * PART


async def test_a_signature_whose_time_is_over_is_denied_and_not_shown(
    azure: Server, base: str
) -> None:
    token = signature("rl", timedelta(hours=-1))
    async with blobs(azure.address, sas_token=token) as storage:
        with pytest.raises(Denied, match=f"{base}/a.*403 .*SASToken of account {ACCOUNT}") as told:
            await storage.list_objects(f"{base}/a")
    assert "sig=" not in str(told.value)


async def test_who_does_not_log_in_reads_what_is_public(
    storage: Storage, azure: Server, base: str, tmp_path: Path
) -> None:
    public = base.replace("tests", "public")
    await storage.put(BytesIO(b"x"), f"{public}/a")
    await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure.address, anonymous=True) as nobody:
        await nobody.get(f"{public}/a", tmp_path / "a")
        assert [one.name for one in await nobody.list_objects(public)] == ["a"]
        with pytest.raises(Denied, match="is Anonymous"):
            await nobody.put(BytesIO(b"x"), f"{public}/b")
        with pytest.raises(Denied, match="is Anonymous"):
            await nobody.get(f"{base}/a", tmp_path / "b")


async def test_secrets_may_be_in_files(azure: Server, base: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    async with blobs(azure.address, key_file=str(tmp_path / "key")) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure.address, key_file=str(tmp_path / "none")) as storage:
        with pytest.raises(Invalid, match=f"account {ACCOUNT} .*none"):
            await storage.stat(f"{base}/a")


async def test_an_account_by_its_own_url(azure: Server, base: str, tmp_path: Path) -> None:
    """As others write them, with what is odd in percents."""
    more = AzureAccount(account=ACCOUNT, endpoint=root(azure.address), key=Secret(KEY))
    url = base.replace("az:/", root(azure.address))
    async with blobs(azure.address, key=GUESSED) as denied:
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
        assert not storage.takes("https://one.blob.core.windows.net/c/b?snapshot=x")
        assert not storage.takes("https://one.blob.core.windows.net.example.org/c/b")
        assert storage.takes("https://three.blob.core.windows.net/c/b?sv=1&sig=x")
        assert not storage.takes("https://blob.core.windows.net.example.org/c/b?sv=1&sig=x")
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


def test_the_account_of_the_environment() -> None:
    environ = {"AZURE_STORAGE_ACCOUNT_NAME": "theirs", "AZURE_STORAGE_KEY": "x"}
    more = AzureAccount(account="more")
    found = accounts(AzureSettings(accounts=(more,)), environ)
    assert [(one.account, one.key) for one in found] == [
        ("theirs", Secret("x")),
        ("more", Secret()),
    ]
    ours = accounts(AzureSettings(account="ours"), environ)
    assert [(one.account, one.key) for one in ours] == [("ours", Secret())]
    both = accounts(AzureSettings(account="theirs", sas_token=Secret("sig=y")), environ)
    assert [(one.key, one.sas_token) for one in both] == [(Secret(), Secret("sig=y"))]


@pytest.mark.parametrize(
    ("account", "text"),
    [
        (AzureAccount(endpoint="https://host"), r"Accounts\[\]\.Account is missing"),
        (
            AzureAccount(account="ours", endpoint="host:10000/ours"),
            "account ours .*is no URL: host",
        ),
        (AzureAccount(account="ours", endpoint="https://"), "account ours .*is no URL"),
    ],
)
async def test_an_account_that_can_be_none_is_refused(account: AzureAccount, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        async with PLUGIN.make(AzureSettings(accounts=(account,)), HOST):
            pass


async def test_what_the_environment_says_is_for_who_has_no_key(
    azure: Server, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", signature("rwlc"))
    async with blobs(azure.address) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
    async with blobs(azure.address, key=GUESSED) as storage:
        with pytest.raises(Denied, match="check Key of"):
            await storage.stat(f"{base}/a")


@pytest.mark.parametrize("name", ["", "/", "a/../b", "..", "a/", "a.", "a\\b", "n" * 1025])
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
    async with blobs(azure.address, key="swordfish!") as storage:
        with pytest.raises(Invalid, match=f"Key of account {ACCOUNT} .* is not Base64") as told:
            await storage.stat(f"{base}/a")
    assert "swordfish" not in str(told.value)


async def test_without_an_account_the_setting_is_named() -> None:
    async with PLUGIN.make(AzureSettings(), HOST) as storage:
        with pytest.raises(Invalid, match=r"AzureStorage\.Account"):
            await storage.stat("az://tests/a")


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refusal(404, "BlobNotFound"), NotFound),
        (Refusal(401), Denied),
        (Refusal(403, "AuthorizationFailure"), Denied),
        (Refusal(409, "PublicAccessNotPermitted"), Denied),
        (Refusal(400, "InvalidHeaderValue"), Invalid),
        (
            Refusal(409, "BlobArchived", "This operation is not permitted on an archived blob."),
            Invalid,
        ),
        (Refusal(409, "BlobAlreadyExists"), Exists),
        (Refusal(409, "ContainerBeingDeleted"), Unavailable),
        (Refusal(400, "Md5Mismatch"), Unavailable),
        (Refusal(400, "InvalidBlockList"), Unavailable),
        (Refusal(429), Unavailable),
        (Refusal(503, "ServerBusy"), Unavailable),
        (Refusal(501), Invalid),
        (Refusal(507), NoSpace),
    ],
)
def test_what_failures_mean(refusal: Refusal, kind: type[FunnelError]) -> None:
    found = failure("az://c/b: reading failed", refusal, "check Key", anonymous=False)
    assert isinstance(found, kind)
    assert (kind is Denied) == ("check Key" in str(found))


async def test_a_large_file_of_odd_size_comes_back(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    content = os.urandom(2 * PART + 5)
    stored = await storage.put(BytesIO(content), f"{base}/a")
    assert stored.etag
    found = await storage.stat(f"{base}/a")
    assert stored.etag == found.etag
    assert found.checksums == {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}
    await storage.get(f"{base}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content


async def test_of_large_files_at_once_under_one_name_one_is_whole(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    """Blocks that are no part of a blob are dropped when it is stored."""
    contents = [bytes([number]) * (2 * PART + number) for number in range(1, 4)]
    await asyncio.gather(*(storage.put(BytesIO(one), f"{base}/a") for one in contents))
    await storage.get(f"{base}/a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() in contents


async def test_of_nobody_knows_how_much_there_may_be_nothing(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        stored = await storage.put(source, f"{base}/a")
    assert stored.size_bytes == 0
    assert (await storage.get(f"{base}/a", tmp_path / "to")).size_bytes == 0


async def test_names_with_empty_parts_are_taken_as_they_are(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    names = ["/a", "b//c"]
    for name in names:
        await storage.put(BytesIO(name.encode()), f"{base}/{name}")
    assert [one.name for one in await storage.list_objects(base)] == names
    for name in names:
        await storage.get(f"{base}/{name}", tmp_path / "to")
        assert (tmp_path / "to").read_text() == name
