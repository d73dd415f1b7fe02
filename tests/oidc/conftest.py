"""A provider for all tests here, and a server that knows who comes from there."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest
from doors import client, door
from providers import AUDIENCE, REDIRECT, Provider

from funnel.auth.oidc.plugin import make
from funnel.auth.settings import OidcAuth
from funnel.core.secret import Secret
from funnel.database import sqlite
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Database, Identity
from funnel.service.callers import Callers


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that servers run."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    one = Provider(tmp_path_factory.mktemp("provider"))
    one.start()
    yield one
    one.stop()


@pytest.fixture
def host() -> Host:
    return Host(now=now, deployment="test")


@pytest.fixture
def settings(provider: Provider) -> OidcAuth:
    return OidcAuth(
        service_config_url=provider.url,
        client_id="funnel",
        client_secret=Secret("secret"),
        redirect_url=REDIRECT,
        require_scope="tes",
        require_audience=AUDIENCE,
        admins=("boss",),
        admin_claim="groups=admins",
    )


@pytest.fixture
async def oidc(settings: OidcAuth, host: Host) -> AsyncGenerator[Identity]:
    async with make(settings, host) as opened:
        assert opened
        yield opened


@pytest.fixture
async def database(tmp_path: Path, host: Host) -> AsyncGenerator[Database]:
    async with sqlite.make(sqlite.Settings(path=f"{tmp_path}/funnel.db"), host) as opened:
        yield opened


@pytest.fixture
async def http(oidc: Identity, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(door(database, callers=Callers([oidc]))) as opened:
        yield opened
