"""Real parts for the services: a database, and containers that are Python functions."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from attempts import Bench, says, stays

from funnel.database.sqlite import SqliteDatabase
from funnel.runtime.fake import FakeRuntime, Program


@pytest.fixture
def programs() -> dict[str, Program]:
    """What containers can run; a test adds its own."""
    return {"hello": says("hello world\n"), "fail": says("", code=3), "stay": stays}


@pytest.fixture
async def bench(
    database: SqliteDatabase, programs: dict[str, Program], tmp_path: Path
) -> AsyncGenerator[Bench]:
    runtime = FakeRuntime(programs, images=frozenset({"alpine"}))
    yield Bench(database, runtime, tmp_path)
    await runtime.close()
