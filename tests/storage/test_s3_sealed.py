"""Objects that the store seals with a key of its own, named by the settings."""

import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from s3_server import amazon, entry, generic, own_s3
from stores import Server

from funnel.ports import Storage
from funnel.storage.content import PART
from funnel.storage.s3.settings import Encryption
from funnel.testing.build import new_id

pytestmark = pytest.mark.timeout(180)

SIZES: Final[Mapping[str, int]] = {"small": 4096, "in parts": 2 * PART + 4096}
SEEN: Final = 64
"""Bytes, of which there are no others like them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of which all files can be looked through."""
    with own_s3(tmp_path_factory.mktemp("sealed")) as server:
        yield server


@pytest.fixture(params=["amazon", "generic"])
async def sealing(request: pytest.FixtureRequest, server: Server) -> AsyncGenerator[Storage]:
    key = "key-of-the-store"
    async with AsyncExitStack() as stack:
        if request.param == "amazon":
            storage = amazon(server, sse=Encryption(kms_key=key))
        else:
            storage = generic(entry(server, kms_key_id=key))
        yield await stack.enter_async_context(storage)


@pytest.fixture
async def plain(server: Server) -> AsyncGenerator[Storage]:
    async with generic(entry(server)) as storage:
        yield storage


def on_disk(server: Server, content: bytes) -> bool:
    """Whether the server keeps it as it is."""
    files = (one for one in server.home.rglob("*") if one.is_file())
    return any(content in one.read_bytes() for one in files)


@pytest.mark.parametrize("kind", SIZES)
async def test_what_is_sealed_is_read_by_who_may_and_is_on_no_disk(
    sealing: Storage, plain: Storage, server: Server, tmp_path: Path, kind: str
) -> None:
    base, content = f"s3://tests/{new_id()}", os.urandom(SIZES[kind])
    await sealing.put(BytesIO(content), f"{base}/sealed")
    for storage in (sealing, plain):
        assert (await storage.stat(f"{base}/sealed")).size_bytes == len(content)
        await storage.get(f"{base}/sealed", tmp_path / "to")
        assert (tmp_path / "to").read_bytes() == content
    first, last = content[:SEEN], content[-SEEN:]
    assert not on_disk(server, first)
    assert not on_disk(server, last)
    await plain.put(BytesIO(content), f"{base}/plain")
    assert on_disk(server, first)
    assert on_disk(server, last)
