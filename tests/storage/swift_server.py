"""OpenStack Swift, as the tests have it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import httpx
import pytest
from msgspec import structs
from stores import Server, running

from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.swift.plugin import PLUGIN
from funnel.storage.swift.settings import SwiftSettings

KEYS: Final[Mapping[str, str]] = {"tester": "testing", "reader": "reading"}
PATIENCE: Final = 60.0


def swift(
    server: Server, user: str = "tester", **more: Any
) -> AbstractAsyncContextManager[Storage]:
    """As one who is known to it; who is not has a key, too."""
    settings = SwiftSettings(
        auth_url=f"http://{server.address}/auth/v1.0",
        user_name=f"test:{user}",
        password=Secret(KEYS.get(user, "guessed")),
    )
    return opened(settings, **more)


def opened(settings: SwiftSettings, **more: Any) -> AbstractAsyncContextManager[Storage]:
    return PLUGIN.make(structs.replace(settings, **more), Host(now=now, deployment="test"))


def asking(server: Server) -> httpx.Client:
    """The account, as its owner has it by hand."""
    login = {"X-Auth-User": "test:tester", "X-Auth-Key": KEYS["tester"]}
    answer = httpx.get(f"http://{server.address}/auth/v1.0", headers=login, timeout=PATIENCE)
    answer.raise_for_status()
    token = {"X-Auth-Token": answer.headers["X-Auth-Token"]}
    return httpx.Client(base_url=answer.headers["X-Storage-Url"], headers=token, timeout=PATIENCE)


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("swift", tmp_path_factory.mktemp("swift")) as server:
        with asking(server) as account:
            _made(account, "tests")
        yield server


def _made(account: httpx.Client, container: str) -> None:
    """It may open its doors before the servers behind it do."""
    readable = {"X-Container-Read": "test:reader,.rlistings"}
    end = time.monotonic() + PATIENCE
    while not account.put(f"/{container}", headers=readable).is_success:
        assert time.monotonic() < end, f"{container} cannot be made"
        time.sleep(0.05)
