"""SeaweedFS, which speaks S3, as the tests have it."""

import asyncio
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from stores import Server, running

from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.s3.bucket import Bucket
from funnel.storage.s3.plugin import AMAZON, GENERIC
from funnel.storage.s3.settings import AmazonSettings, AWSConfig, Entry, GenericSettings
from funnel.storage.s3.upload import unfinished

USERS: Mapping[str, str] = {"tester": "testing", "reader": "reading"}


def host() -> Host:
    return Host(now=now, deployment="test")


def entry(server: Server, user: str = "tester", **more: Any) -> Entry:
    """Who is not known has a secret, too."""
    secret = Secret(USERS.get(user, "guessed"))
    return Entry(endpoint=f"http://{server.address}", key=user, secret=secret, **more)


def generic(*entries: Entry) -> AbstractAsyncContextManager[Storage]:
    return GENERIC.make(GenericSettings(entries), host())


def amazon(
    server: Server, user: str = "tester", **more: Any
) -> AbstractAsyncContextManager[Storage]:
    """As Amazon's, at another place."""
    config = AWSConfig(endpoint=f"http://{server.address}", key=user, secret=Secret(USERS[user]))
    return AMAZON.make(AmazonSettings(aws_config=config, **more), host())


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with own_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def own_s3(home: Path) -> Generator[Server]:
    with running("s3", home) as server:
        _wait(server)
        yield server


def _wait(server: Server) -> None:
    """It opens its doors before it can keep anything."""

    async def write() -> None:
        async with generic(entry(server)) as storage:
            for bucket in ("tests", "public"):
                await storage.put(BytesIO(b"x"), f"s3://{bucket}/ready")

    asyncio.run(write())


async def opened(storage: Storage, url: str) -> tuple[Bucket, str]:
    """The bucket as the adapter has it, and the key."""
    await storage.list_objects(url)
    doors = cast("Any", storage).store._store._doors
    bucket, address = await doors.bucket(url)
    return bucket, address.key


async def left(storage: Storage, url: str) -> list[str]:
    """Keys of uploads that have not come to an end."""
    bucket, key = await opened(storage, url)
    return [one async for one, _, _ in unfinished(bucket, key, url)]
