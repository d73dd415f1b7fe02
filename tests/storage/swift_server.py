"""OpenStack Swift, as the tests have it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from msgspec import structs
from stores import Server, running

from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage import content, parts, remote
from funnel.storage.swift import store, upload
from funnel.storage.swift.plugin import PLUGIN
from funnel.storage.swift.settings import SwiftSettings

KEYS: Final[Mapping[str, str]] = {"tester": "testing", "reader": "reading"}
PATIENCE: Final = 60.0
PART: Final = 1000
"""Bytes of a segment, where they are small."""


def login(address: str, user: str = "tester") -> SwiftSettings:
    """Of one who is known to the server there; who is not has a key, too."""
    return SwiftSettings(
        auth_url=f"http://{address}/auth/v1.0",
        user_name=f"test:{user}",
        password=Secret(KEYS.get(user, "guessed")),
    )


def opened(settings: SwiftSettings, **more: Any) -> AbstractAsyncContextManager[Storage]:
    return PLUGIN.make(structs.replace(settings, **more), Host(now=now, deployment="test"))


def swift(
    server: Server, user: str = "tester", **more: Any
) -> AbstractAsyncContextManager[Storage]:
    return opened(login(server.address, user), **more)


class Account:
    """What its owner does by hand."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def do(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self._client.request(method, path, content=body, headers=told)

    async def done(self, method: str, path: str, body: bytes = b"", **headers: str) -> str:
        answer = await self.do(method, path, body, **headers)
        return answer.raise_for_status().text

    async def names(self, container: str, prefix: str = "") -> list[str]:
        """Those of at most one page; a container that is not there has none."""
        answer = await self._client.get(f"/{container}", params={"prefix": prefix})
        return answer.text.split() if answer.status_code == 200 else []


@asynccontextmanager
async def account_of(server: Server) -> AsyncGenerator[Account]:
    told = {"X-Auth-User": "test:tester", "X-Auth-Key": KEYS["tester"]}
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.get(f"http://{server.address}/auth/v1.0", headers=told)
        answer.raise_for_status()
        client.base_url = httpx.URL(answer.headers["X-Storage-Url"])
        client.headers["X-Auth-Token"] = answer.headers["X-Auth-Token"]
        yield Account(client)


def forget_tokens(server: Server) -> None:
    """As if all had expired."""
    with socket.create_connection(("127.0.0.1", server.port + 4)) as line:
        line.sendall(b"flush_all\r\n")
        assert line.recv(64) == b"OK\r\n"


def shrink_parts(patch: pytest.MonkeyPatch) -> None:
    for module in (content, parts, remote, store, upload):
        patch.setattr(module, "PART", PART)


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("swift", tmp_path_factory.mktemp("swift")) as server:
        asyncio.run(_prepared(server))
        yield server


async def _prepared(server: Server) -> None:
    async with account_of(server) as account:
        for name in ("tests", "kept"):
            readable = "test:reader,.rlistings"
            await account.done("PUT", f"/{name}", X_Container_Read=readable)
        await account.done("POST", "/kept", X_Versions_Enabled="true")
