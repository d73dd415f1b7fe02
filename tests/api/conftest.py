"""The HTTP door on a real database."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from doors import client, door, served

from funnel.api.connection import Serve
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.hub import Hub


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that servers run: it is stricter about connections that are no more."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def hub(database: Database) -> Hub:
    return Hub(database)


@pytest.fixture
def app(database: Database, metrics: Metrics, hub: Hub) -> Serve:
    return door(database, metrics, hub=hub)


@pytest.fixture
async def http(app: Serve) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(app) as opened:
        yield opened


@pytest.fixture
async def port(app: Serve) -> AsyncGenerator[int]:
    async with served(app) as found:
        yield found
