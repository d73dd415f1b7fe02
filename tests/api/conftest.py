"""The HTTP door on a real database."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import uvicorn
from doors import client, door
from starlette.types import ASGIApp

from funnel.database.sqlite import Settings, make
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.build import EPOCH


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    host = Host(now=lambda: EPOCH, deployment="test")
    async with make(Settings(path=f"{tmp_path}/funnel.db"), host) as opened:
        yield opened


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(database: Database, metrics: Metrics) -> ASGIApp:
    return door(database, metrics)


@pytest.fixture
async def http(app: ASGIApp) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(app) as opened:
        yield opened


@pytest.fixture
async def port(app: ASGIApp) -> AsyncGenerator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    found: int = listener.getsockname()[1]
    yield found
    server.should_exit = True
    await serving
