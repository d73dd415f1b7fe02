"""Swift and Keystone behind a server that ends TLS for them, as most have it."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from certificates import Authority
from keystone_server import Cloud, ticket
from swift_server import PART, opened, shrink_parts

from funnel.core.error import Denied
from funnel.storage.swift.settings import SwiftSettings
from funnel.testing.build import new_id

pytestmark = pytest.mark.timeout(180)


class Front:
    """Ends TLS before servers; `heard` is what came by it."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.heard = bytearray()

    @asynccontextmanager
    async def before(self, port: int) -> AsyncGenerator[str]:
        """Its URL."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, to_there = await asyncio.open_connection("127.0.0.1", port)
            with suppress(OSError):
                await asyncio.gather(
                    self._pass(reader, to_there, self.heard), self._pass(there, writer, bytearray())
                )

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._tls)
        async with server:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
    ) -> None:
        try:
            while piece := await reader.read(1 << 16):
                heard += piece
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


@pytest.fixture
def front(tmp_path: Path, ca_file: Path) -> Front:
    authority = Authority()
    ca_file.write_bytes(authority.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue().written(tmp_path / "server"))
    return Front(tls)


@pytest.fixture
async def settings(cloud: Cloud, front: Front, ca_file: Path) -> AsyncGenerator[SwiftSettings]:
    """All of it by TLS."""
    project = (await ticket(cloud.keystone, "tester", "tests")).project
    async with (
        front.before(cloud.keystone.port) as keystone,
        front.before(cloud.swift.port) as swift,
    ):
        yield cloud.login(
            auth_url=f"{keystone}/v3",
            storage_url=f"{swift}/v1/AUTH_{project}",
            ca_file=str(ca_file),
        )


async def test_files_go_by_tls(
    settings: SwiftSettings, front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_parts(monkeypatch)
    base = f"swift://tests/{new_id()}"
    contents = {"small": b"content", "large": bytes(range(256)) * (5 * PART // 256 + 1)}
    async with opened(settings) as storage:
        for name, content in contents.items():
            await storage.put(BytesIO(content), f"{base}/{name}")
        names: Sequence[str] = [one.name for one in await storage.list_objects(base)]
        assert names == ["large", "small"]
        await storage.get(base, tmp_path / "to")
    assert {one.name: one.read_bytes() for one in (tmp_path / "to").iterdir()} == contents
    assert b"multipart-manifest=put" in front.heard


async def test_who_shows_another_certificate_is_told_nothing(
    settings: SwiftSettings, front: Front, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().certificate)
    for wrong in ("", str(other)):
        async with opened(settings, ca_file=wrong) as storage:
            with pytest.raises(Denied, match=r"certificate.*Swift\.CAFile"):
                await storage.stat("swift://tests/a")
    assert not front.heard
