"""Stores that speak S3, against SeaweedFS."""

from collections.abc import AsyncGenerator

import pytest
from s3_server import entry, generic
from stores import Server

from funnel.ports import Storage
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite

NAMES = tuple(one for one in RemoteStorageSuite.names if "\\" not in one)


class TestGeneric(RemoteStorageSuite):
    has_directories = False
    names = NAMES

    @pytest.fixture
    async def storage(self, s3: Server) -> AsyncGenerator[Storage]:
        async with generic(entry(s3)) as storage:
            yield storage

    @pytest.fixture
    async def reader(self, s3: Server) -> AsyncGenerator[Storage]:
        async with generic(entry(s3, "reader")) as storage:
            yield storage

    @pytest.fixture
    async def stranger(self, s3: Server) -> AsyncGenerator[Storage]:
        async with generic(entry(s3, "nobody")) as storage:
            yield storage

    @pytest.fixture
    def base(self) -> str:
        return f"s3://tests/{new_id()}"

    @pytest.fixture
    def nowhere(self) -> str:
        return "s3://nowhere"
