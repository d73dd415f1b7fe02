import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from attempts import opened
from place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Place]:
    async with opened(tmp_path) as database:
        yield Place(database, tmp_path / "work")


@pytest.fixture(scope="session")
def everything() -> bool:
    """Whether each point shall be tried, and not only a part: `make faults`."""
    return os.environ.get("FUNNEL_FAULTS") == "all"
