"""Who comes to S3, by an environment of the test."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from funnel.net.client import Client
from funnel.storage.s3.credentials import Credentials
from funnel.storage.s3.surroundings import Surroundings

START = datetime(2030, 1, 1, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def session() -> AsyncGenerator[Client]:
    async with Client() as session:
        yield session


@pytest.fixture
def time() -> Time:
    return Time()


class Around:
    """Credentials of an environment."""

    def __init__(self, session: Client, time: Time, home: Path) -> None:
        self._session = session
        self._time = time
        self._home = home

    def __call__(self, profile: str = "", **environ: str) -> Credentials:
        variables: Mapping[str, str] = {
            "HOME": str(self._home),
            "AWS_EC2_METADATA_DISABLED": "true",
            **environ,
        }
        around = Surroundings(variables, self._session, self._time)
        return Credentials(around.sources(profile), self._time)


@pytest.fixture
def around(session: Client, time: Time, tmp_path: Path) -> Around:
    return Around(session, time, tmp_path)
