"""The HTTP door on a real database, without any server around it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from funnel.api.http import make_api
from funnel.api.info import TES_TYPE, Organization, ServiceInfo
from funnel.api.settings import Limits
from funnel.database.sqlite import Settings, make
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Database
from funnel.service.ids import ids
from funnel.service.submit import Submit
from starlette.types import ASGIApp

INFO = ServiceInfo(
    id="org.example.funnel",
    name="Funnel",
    type=TES_TYPE,
    organization=Organization(name="Example", url="https://example.org"),
    version="1.2.3",
    storage=("file:///data",),
    backend_parameters=("vmsize",),
    description="Runs tasks",
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)
LIMITS = Limits(body=64 * 1024, body_seconds=0.2, answer_seconds=5)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    host = Host(now=now, deployment="test")
    async with make(Settings(path=f"{tmp_path}/funnel.db"), host) as opened:
        yield opened


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(database: Database, metrics: Metrics) -> ASGIApp:
    submit = Submit(
        database, queue="local", parameters=frozenset({"vmsize"}), new_id=ids(now), now=now
    )
    return make_api(
        submit=submit,
        tasks=database,
        overview=database,
        info=INFO,
        metrics=metrics,
        limits=LIMITS,
    )


@pytest.fixture
async def http(app: ASGIApp) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://funnel") as client:
        yield client
