"""Talking to a server in private."""

import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from certificates import Authority
from scripted import Server

from funnel.client.http import AsyncClient
from funnel.core.error import FunnelError, Invalid
from funnel.core.state import State

WORD = "swordfish"


@pytest.fixture
async def private(tmp_path: Path) -> AsyncGenerator[tuple[str, Path, Server]]:
    authority, where = Authority(), tmp_path / "ca.pem"
    where.write_bytes(authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue().written(tmp_path))
    server = Server(web.json_response({"id": "t", "state": "QUEUED"}))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    running = TestServer(app, scheme="https")
    await running.start_server(ssl=context)
    yield str(running.make_url("")), where, server
    await running.close()


async def test_a_server_is_trusted_for_the_authority_in_a_file(
    private: tuple[str, Path, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, where, server = private
    async with AsyncClient(url, ca_file=str(where), token=WORD) as opened:
        assert (await opened.get("t")).state is State.QUEUED
    monkeypatch.setenv("FUNNEL_SERVER_CA_FILE", str(where))
    async with AsyncClient(url) as opened:
        assert (await opened.get("t")).state is State.QUEUED
    assert [one.headers.get("Authorization") for one in server.asked] == [f"Bearer {WORD}", None]


async def test_a_server_that_nobody_vouches_for_is_told_nothing(
    private: tuple[str, Path, Server],
) -> None:
    url, _, server = private
    async with AsyncClient(url, token=WORD) as opened:
        with pytest.raises(FunnelError, match=r"cannot talk to .* in private: .*CERTIFICATE"):
            await opened.get("t")
    assert server.asked == []


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_authorities_is_refused_at_once(tmp_path: Path, text: str | None) -> None:
    where = tmp_path / "ca.pem"
    if text:
        where.write_text(text)
    with pytest.raises(Invalid, match=f"cannot read the authorities in {where}"):
        AsyncClient("https://localhost", ca_file=str(where))
