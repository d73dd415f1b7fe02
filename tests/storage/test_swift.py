"""OpenStack Swift, the real one, with its own logins."""

from collections.abc import AsyncGenerator
from io import BytesIO

import pytest
from stores import Server
from swift_server import swift

from funnel.core.error import Exists
from funnel.ports import Storage
from funnel.storage.content import PART, FileContent
from funnel.storage.remote import RemoteStorage
from funnel.testing.build import new_id
from funnel.testing.storage import RemoteStorageSuite


@pytest.fixture
def base() -> str:
    return f"swift://tests/{new_id()}"


class TestSwift(RemoteStorageSuite):
    """Swift looks whether something is there before it stores, and not once more in the end."""

    has_directories = False
    decides = False
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


@pytest.mark.parametrize("size", [1, 2 * PART + 1])
async def test_swift_looks_itself_whether_something_is_there(
    swift_server: Server, size: int
) -> None:
    url = f"swift://tests/{new_id()}"
    async with swift(swift_server) as storage:
        assert isinstance(storage, RemoteStorage)
        await storage.put(BytesIO(b"old"), url)
        content = FileContent(BytesIO(bytes(size)), url, lambda _: None)
        with pytest.raises(Exists, match="412"):
            await storage.store.write(url, content, overwrite=False)
        assert (await storage.stat(url)).size_bytes == 3
