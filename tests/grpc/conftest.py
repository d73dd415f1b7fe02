"""A channel to a server of the test's own."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest
from grpc.aio import Channel
from rpc import channel, door

from funnel.ports import Database
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that servers run."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def wire(database: Database) -> AsyncGenerator[Channel]:
    async with channel(door(database)) as opened:
        yield opened


@pytest.fixture
def tes(wire: Channel) -> "TaskServiceAsyncStub":
    return TaskServiceStub(wire)
