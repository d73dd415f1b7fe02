"""OpenStack Swift, the real one, with its own logins."""

from collections.abc import AsyncGenerator

import pytest
from stores import Server
from swift_server import swift

from funnel.ports import Storage
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite


@pytest.fixture
def base() -> str:
    return f"swift://tests/{new_id()}"


class TestSwift(RemoteStorageSuite):
    has_directories = False
    many = 250
    """More than this server has on one page."""

    @pytest.fixture
    async def storage(self, swift_server: Server) -> AsyncGenerator[Storage]:
        async with swift(swift_server) as storage:
            yield storage

    @pytest.fixture
    async def reader(self, swift_server: Server) -> AsyncGenerator[Storage]:
        async with swift(swift_server, "reader") as storage:
            yield storage

    @pytest.fixture
    async def stranger(self, swift_server: Server) -> AsyncGenerator[Storage]:
        async with swift(swift_server, "stranger") as storage:
            yield storage

    @pytest.fixture
    def nowhere(self) -> str:
        return "swift://nowhere"
