"""Who we are to Azure, and what becomes of it when that is over."""

import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from io import BytesIO
from json import dumps
from pathlib import Path

import pytest
from aiohttp import web
from azure_server import (
    ACCOUNT,
    HOST,
    Doorkeeper,
    blobs,
    door,
    root,
    signature,
)
from stores import Server
from webapp import served

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.reach import Reach
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.azure.plugin import PLUGIN
from funnel.storage.azure.settings import AzureAccount, AzureSettings
from funnel.storage.content import PART
from funnel.storage.remote import RemoteStorage
from funnel.testing.build import new_id

__all__ = ["door"]

NOWHERE = "http://127.0.0.1:9"
AZ = """#!/bin/sh
echo "$*" >> "$0.asked"
cat "$0.says"
exit $(cat "$0.exit")
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that knows nobody."""
    for name in [*os.environ]:
        if name.startswith(("AZURE_", "IDENTITY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", NOWHERE)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def base() -> str:
    return f"az://tests/{new_id()}"


def through(door: Doorkeeper) -> AbstractAsyncContextManager[Storage]:
    return PLUGIN.make(AzureSettings(account=ACCOUNT, endpoint=door.root), HOST)


def program(folder: Path, says: str, code: int = 0) -> Path:
    """In place of Azure's own, which cannot log in without Azure."""
    (folder / "bin").mkdir(exist_ok=True)
    file = folder / "bin" / "az"
    file.write_text(AZ)
    file.chmod(0o755)
    file.with_name("az.says").write_text(says)
    file.with_name("az.exit").write_text(str(code))
    os.environ["PATH"] += ":/usr/bin:/bin"
    return file


def client(door: Doorkeeper, proof: str, value: str) -> Mapping[str, str]:
    return {
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
        "AZURE_AUTHORITY_HOST": door.address,
        proof: value,
    }


def ways(door: Doorkeeper, folder: Path) -> Mapping[str, Mapping[str, str]]:
    file = folder / "federated"
    file.write_text("from kubernetes\n")
    return {
        "secret": client(door, "AZURE_CLIENT_SECRET", "swordfish"),
        "workload": client(door, "AZURE_FEDERATED_TOKEN_FILE", str(file)),
        "service": {"IDENTITY_ENDPOINT": f"{door.address}/service", "IDENTITY_HEADER": "header"},
        "machine": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": door.address},
    }


@pytest.mark.parametrize("way", ["secret", "workload", "service", "machine"])
async def test_the_environment_says_who_we_are(
    door: Doorkeeper, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for name, value in ways(door, tmp_path)[way].items():
        monkeypatch.setenv(name, value)
    async with through(door) as storage:
        await storage.put(BytesIO(bytes(2 * PART + 1)), f"{base}/a")
        await storage.get(f"{base}/a", tmp_path / "a")
        assert [one.name for one in await storage.list_objects(base)] == ["a"]
        assert door.renewals == [way]
        # As when it is taken back, or has expired early.
        door.valid.clear()
        await storage.put(BytesIO(b"x"), f"{base}/b")
    assert door.renewals == [way, way]
    assert (tmp_path / "a").stat().st_size == 2 * PART + 1


async def test_who_has_logged_in_by_az_is_known(
    door: Doorkeeper, base: str, tmp_path: Path
) -> None:
    says = {"accessToken": door.give("az"), "expiresOn": "2100-01-01", "expires_on": 4102444800}
    asked = program(tmp_path, dumps(says)).with_name("az.asked")
    async with through(door) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
        await storage.stat(f"{base}/a")
    assert asked.read_text() == (
        "account get-access-token --resource https://storage.azure.com --output json\n"
    )


async def test_where_nobody_is_logged_in_public_blobs_are_read(
    door: Doorkeeper, azure: Server, base: str, tmp_path: Path
) -> None:
    program(tmp_path, "Please run 'az login'", code=1)
    public = base.replace("tests", "public")
    async with blobs(azure.address, sas_token=signature("rwc")) as storage:
        await storage.put(BytesIO(b"x"), f"{public}/a")
    async with through(door) as storage:
        await storage.get(f"{public}/a", tmp_path / "a")
        with pytest.raises(Denied, match=f"{base}/a: storing .*nobody is logged in: give Key"):
            await storage.put(BytesIO(b"x"), f"{base}/a")


async def test_what_is_wrong_with_the_environment_is_said(
    door: Doorkeeper, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in client(door, "AZURE_CLIENT_SECRET", "not swordfish").items():
        monkeypatch.setenv(name, value)
    async with through(door) as storage:
        with pytest.raises(Denied, match=f"{base}/a: .*AADSTS7000215.*AZURE_CLIENT_SECRET") as told:
            await storage.stat(f"{base}/a")
        assert "swordfish" not in str(told.value)
        monkeypatch.delenv("AZURE_CLIENT_SECRET")
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "none"))
        with pytest.raises(Invalid, match=f"{base}/a: AZURE_FEDERATED_TOKEN_FILE .*none"):
            await storage.stat(f"{base}/a")


async def test_a_machine_that_is_busy_is_asked_again(
    door: Doorkeeper, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", door.address)
    door.busy = True
    async with through(door) as storage:
        assert isinstance(storage, RemoteStorage)
        with pytest.raises(Unavailable, match=f"{base}/a: .*429") as told:
            await storage.store.stat(f"{base}/a")
        assert told.value.retry_after == 7
        door.busy = False
        with pytest.raises(NotFound):
            await storage.stat(f"{base}/a")


async def test_a_login_goes_over_no_line_that_others_can_read(
    monkeypatch: pytest.MonkeyPatch, door: Doorkeeper
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", door.address)
    settings = AzureSettings(account=ACCOUNT, endpoint="http://blobs.invalid")
    async with PLUGIN.make(settings, HOST) as storage:
        with pytest.raises(NotFound, match=r"no address is known of blobs\.invalid"):
            await storage.stat("az://tests/a")
    assert door.renewals == []


async def test_a_signature_in_a_file_is_read_again_when_it_is_over(
    azure: Server, base: str, tmp_path: Path
) -> None:
    file = tmp_path / "sas"
    file.write_text(signature("rwlc", timedelta(hours=-1)))
    async with blobs(azure.address, sas_token_file=str(file)) as storage:
        with pytest.raises(Denied, match="SASToken of account"):
            await storage.list_objects(base)
        file.write_text(signature("rwlc"))
        await storage.put(BytesIO(b"x"), f"{base}/a")
        assert [one.name for one in await storage.list_objects(base)] == ["a"]


@pytest.mark.parametrize("size", [1, 2 * PART + 1])
async def test_a_signed_url_says_itself_who_may_use_it(
    azure: Server, tmp_path: Path, size: int
) -> None:
    account = AzureAccount(account=ACCOUNT, endpoint=root(azure.address), anonymous=True)
    url = f"{root(azure.address)}/tests/{new_id()}/a%20b"
    async with PLUGIN.make(AzureSettings(accounts=(account,)), HOST) as storage:
        signed = f"{url}?{signature('rwc')}"
        assert storage.takes(signed)
        assert (await storage.put(BytesIO(bytes(size)), signed)).url == signed
        await storage.get(signed, tmp_path / "a")
        assert (await storage.stat(signed)).size_bytes == size
        over = f"{url}?{signature('rwc', timedelta(hours=-1))}"
        calls = (
            (Denied, storage.stat(over), "signature in the URL"),
            (NotFound, storage.stat(signed.replace("a%20b", "none")), "is no blob"),
            (NotFound, storage.list_objects(signed), "names no directory"),
        )
        for kind, call, text in calls:
            with pytest.raises(kind, match=text) as told:
                await call
            assert "sig=" not in str(told.value)


async def test_signed_urls_of_others_lead_no_further_than_any(tmp_path: Path) -> None:
    host = Host(now=HOST.now, deployment="test", reach=Reach(denied_hosts=("*.windows.net",)))
    async with PLUGIN.make(AzureSettings(), host) as storage:
        with pytest.raises(Denied, match=r"Outbound\.DeniedHosts"):
            await storage.get("https://theirs.blob.core.windows.net/their/b?sig=x", tmp_path / "a")


@pytest.mark.parametrize("token", ["?sv=1", "sig=a b", "sig=a#b", "sig=ü"])
async def test_a_signature_that_is_none_is_not_shown(azure: Server, base: str, token: str) -> None:
    async with blobs(azure.address, sas_token=token) as storage:
        with pytest.raises(Invalid, match=f"{base}/a: SASToken of account {ACCOUNT}") as told:
            await storage.stat(f"{base}/a")
    assert token not in str(told.value)


PAGE = """<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ContainerName="tests"><Blobs>
<Blob><Name>dir/deep</Name><Properties><Content-Length>0</Content-Length>
<ResourceType>directory</ResourceType></Properties></Blob>
<Blob><Name>dir/deep/a</Name><Properties><Content-Length>1</Content-Length>
<ResourceType>file</ResourceType></Properties><OrMetadata><Name>x</Name></OrMetadata></Blob>
<Blob><Name Encoded="true">dir/b%EF%BF%BE%2525</Name><Properties><Content-Length>2</Content-Length>
</Properties></Blob></Blobs><NextMarker/></EnumerationResults>"""


async def test_directories_of_accounts_that_have_them_are_no_files(tmp_path: Path) -> None:
    """Azurite has no such accounts, so that they are played here."""

    async def blob(request: web.Request) -> web.Response:
        if "comp" in request.query:
            return web.Response(text=PAGE if "marker" not in request.query else "")
        if request.path.endswith("/a"):
            return web.Response(body=b"a")
        return web.Response(headers={"x-ms-resource-type": "directory"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", blob)
    async with (
        served(app) as address,
        PLUGIN.make(
            AzureSettings(account="ours", endpoint=address, anonymous=True), HOST
        ) as storage,
    ):
        found = await storage.list_objects("az://tests/dir")
        assert [(one.name, one.size_bytes) for one in found] == [("b\ufffe%25", 2), ("deep/a", 1)]
        assert (await storage.stat("az://tests/dir")).size_bytes == 0
        with pytest.raises(FunnelError):
            await storage.get("az://tests/dir/deep", tmp_path / "to")
        assert not (tmp_path / "to").exists() or (tmp_path / "to").is_dir()
