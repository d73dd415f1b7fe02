"""Azurite as the tests have it."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from stores import Server, running

from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.azure.plugin import PLUGIN, AzureSettings

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Azurite's published one."""
VERSION: Final = "2022-11-02"
HOST: Final = Host(now=now, deployment="test")
SECRETS: Final = frozenset({"key", "sas_token"})


def root(server: Server) -> str:
    return f"http://{server.address}/{ACCOUNT}"


def blobs(server: Server, **settings: Any) -> AbstractAsyncContextManager[Storage]:
    given: dict[str, Any] = {
        name: Secret(one) if name in SECRETS else one for name, one in settings.items()
    }
    found = AzureSettings(account=ACCOUNT, endpoint=root(server), **given)
    return PLUGIN.make(found, HOST)


def signature(may: str, lasting: timedelta = timedelta(hours=1)) -> str:
    """A shared access signature of the account for its blobs, by the letters of what it allows."""
    until = (now() + lasting).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{ACCOUNT}\n{may}\nb\nsco\n\n{until}\n\n\n{VERSION}\n\n"
    seal = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return urlencode(
        {
            "sv": VERSION,
            "ss": "b",
            "srt": "sco",
            "sp": may,
            "se": until,
            "sig": base64.b64encode(seal).decode(),
        }
    )


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("azure", tmp_path_factory.mktemp("azure")) as server:
        for container, more in (
            ("tests", {}),
            ("public", {"x-ms-blob-public-access": "container"}),
        ):
            httpx.put(
                f"{root(server)}/{container}?restype=container&{signature('rwdlc')}",
                headers={"x-ms-version": VERSION, **more},
            ).raise_for_status()
        yield server
