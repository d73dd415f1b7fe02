"""A channel to a server of the test's own."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grpc.aio import Channel
from rpc import channel, door

from funnel.database.sqlite import Settings, make
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.build import EPOCH
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that servers run."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    host = Host(now=lambda: EPOCH, deployment="test")
    async with make(Settings(path=f"{tmp_path}/funnel.db"), host) as opened:
        yield opened


@pytest.fixture
async def wire(database: Database) -> AsyncGenerator[Channel]:
    async with channel(door(database)) as opened:
        yield opened


@pytest.fixture
def tes(wire: Channel) -> "TaskServiceAsyncStub":
    return TaskServiceStub(wire)
