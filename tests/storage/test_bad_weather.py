"""
Faults of stores and of the lines to them: each by its name, at each request of each operation.

What comes of it is the right content, or one clean error in time and nothing that is left.
"""

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from azure_server import KEY, blobs
from faulty import FAULTS, FaultyLine
from faultyftp import FTP_FAULTS, FaultyFtpLine
from faultysftp import SFTP_FAULTS, FaultySftpLine
from files import opened as storage_of
from gcs_server import google
from s3_server import USERS, generic
from sftp_server import USER
from stores import Server
from swift_server import login
from swift_server import opened as swift
from weather import HIDING, Family, judged, shrink
from webs import web_storage

from funnel.core.secret import Secret
from funnel.storage.ftp.settings import Account
from funnel.storage.ftp.settings import Settings as FTPSettings
from funnel.storage.remote import RemoteStorage
from funnel.storage.s3.settings import Entry
from funnel.storage.sftp.settings import Settings as SFTPSettings

FTP = FTPSettings(
    timeout=timedelta(seconds=2),
    hosts=(Account(host="127.0.0.1", user="tester", password=Secret("testing")),),
)
SECRET = Secret(USERS["tester"])

pytestmark = pytest.mark.timeout(180)


async def check(family: Family, op: str, folder: Path, least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, family.part)
        count, wrong = await judged(family, op, folder)
    report = "\n".join(f"{name}: {what}" for name, what in sorted(wrong.items()))
    assert not wrong, f"{len(wrong)} of {count} cases:\n{report}"
    assert count >= least


def parametrized(**least: int) -> pytest.MarkDecorator:
    """Operations, each with a number of cases that there must be."""
    return pytest.mark.parametrize(
        ("op", "least"), [(op.replace("_", " "), count) for op, count in least.items()]
    )


@parametrized(stat=20, get_small=30, get_large=80, put_small=30, put_large=30)
async def test_web_servers(web_server: Server, tmp_path: Path, op: str, least: int) -> None:
    family = Family(
        server=web_server.address,
        line=FaultyLine,
        faults=FAULTS,
        url=lambda address, name: f"http://{address}/upload/{name}",
        opened=lambda _: web_storage(uploads=True),
        summed=False,
        checked=False,
        has_directories=False,
    )
    await check(family, op, tmp_path, least)


@parametrized(stat=20, list=30, get_small=30, get_large=80, put_small=30, put_large=80)
async def test_s3(s3: Server, tmp_path: Path, op: str, least: int) -> None:
    @asynccontextmanager
    async def opened(address: str) -> AsyncGenerator[RemoteStorage]:
        async with generic(Entry(endpoint=f"http://{address}", key="tester", secret=SECRET)) as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=s3.address,
        line=FaultyLine,
        faults=FAULTS,
        url=lambda _, name: f"s3://tests/{name}",
        opened=opened,
        part=5 << 20,
        abreast=6,
        # It does not look whether what comes has the SHA-256 that is signed.
        checked=False,
        left=lambda storage, url: storage.sweep(url, timedelta(0)),
    )
    await check(family, op, tmp_path, least)


@parametrized(stat=20, list=30, get_small=30, get_large=80, put_small=30, put_large=80)
async def test_google_storage(gcs: Server, tmp_path: Path, op: str, least: int) -> None:
    @asynccontextmanager
    async def opened(address: str) -> AsyncGenerator[RemoteStorage]:
        async with google(endpoint_url=f"http://{address}") as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=gcs.address,
        line=FaultyLine,
        faults=FAULTS,
        url=lambda _, name: f"gs://tests/{name}",
        opened=opened,
        # It does not look which bytes a chunk says to be.
        spared=frozenset({"sent twice"}),
    )
    await check(family, op, tmp_path, least)


@parametrized(stat=20, list=30, get_small=30, get_large=70, put_small=30, put_large=120)
async def test_swift(swift_server: Server, tmp_path: Path, op: str, least: int) -> None:
    @asynccontextmanager
    async def opened(address: str) -> AsyncGenerator[RemoteStorage]:
        """The login is not what is tried here."""
        account = f"http://{address}/v1/AUTH_test"
        async with swift(login(swift_server.address), storage_url=account) as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=swift_server.address,
        line=FaultyLine,
        faults=FAULTS,
        url=lambda _, name: f"swift://tests/{name}",
        opened=opened,
        part=1 << 19,
        abreast=6,
        # What stores takes many requests, and much of a processor that others want as well.
        stall=3.0 if "put" in op else 1.0,
        # Of a large file: looking twice, its beginning, a segment, the manifest, its end.
        moments=(0, 1, 2, 4, 6, 7),
        # A segment may come late, so that what tells of the upload stays.
        hiding=HIDING | {"silent"},
        left=lambda storage, url: storage.sweep(url, timedelta(0)),
    )
    await check(family, op, tmp_path, least)


@parametrized(stat=20, list=30, get_small=30, get_large=80, put_small=30, put_large=80)
async def test_azure(azure: Server, tmp_path: Path, op: str, least: int) -> None:
    @asynccontextmanager
    async def opened(address: str) -> AsyncGenerator[RemoteStorage]:
        async with blobs(address, key=KEY) as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=azure.address,
        line=FaultyLine,
        faults=FAULTS,
        url=lambda _, name: f"az://tests/{name}",
        opened=opened,
        abreast=6,
    )
    await check(family, op, tmp_path, least)


@parametrized(stat=150, list=60, get_small=90, get_large=90, put_small=120, put_large=150)
async def test_ftp(ftp_server: Server, tmp_path: Path, op: str, least: int) -> None:
    @asynccontextmanager
    async def opened(_: str) -> AsyncGenerator[RemoteStorage]:
        async with storage_of("ftp", FTP) as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=ftp_server.address,
        line=FaultyFtpLine,
        faults=FTP_FAULTS,
        by_verb=True,
        abreast=12,
        stall=4.0,
        worth=10_000,
        hiding=frozenset(),
        login=frozenset({"CONNECT", "USER", "PASS", "TYPE", "FEAT", "OPTS"}),
        url=lambda address, name: f"ftp://{address}/{name}",
        opened=opened,
        summed=False,
        left=lambda storage, url: storage.sweep(url, timedelta(0)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("funnel.storage.ftp.control.KEPT", 2.0)
        patch.setattr("funnel.storage.fileserver.LISTING", 3.0)
        await check(family, op, tmp_path, least)


@parametrized(stat=20, list=40, get_small=40, get_large=40, put_small=40, put_large=40)
async def test_sftp(sftp_server: Server, tmp_path: Path, op: str, least: int) -> None:
    data = sftp_server.home / "data"
    public, numbers = (data / "host.pub").read_text(), itertools.count()

    @asynccontextmanager
    async def opened(address: str) -> AsyncGenerator[RemoteStorage]:
        host, _, port = address.partition(":")
        # Its own: while it is written, another one may be read.
        known = tmp_path / f"{address}-{next(numbers)}"
        known.write_text(f"[{host}]:{port} {public}")
        settings = SFTPSettings(
            timeout=timedelta(seconds=3),
            user=USER,
            key_file=str(data / "client"),
            known_hosts_file=str(known),
        )
        async with storage_of("sftp", settings) as one:
            assert isinstance(one, RemoteStorage)
            yield one

    family = Family(
        server=sftp_server.address,
        line=lambda _, choose: FaultySftpLine(data / "host", USER, choose),
        faults=SFTP_FAULTS,
        by_verb=True,
        stall=4.0,
        worth=10_000,
        hiding=frozenset(),
        abreast=8,
        login=frozenset({"INIT", "limits"}),
        url=lambda address, name: f"sftp://{address}{data}/files/{name}",
        opened=opened,
        summed=False,
        left=lambda storage, url: storage.sweep(url, timedelta(0)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("funnel.storage.sftp.session.CLOSING", 3.0)
        patch.setattr("funnel.storage.fileserver.LISTING", 3.0)
        await check(family, op, tmp_path, least)
