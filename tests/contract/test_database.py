"""Every database, by the one suite."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from funnel.database.sqlite import PLUGIN, Settings
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.database import DatabaseSuite

HOST = Host(now=now, deployment="test")


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    async def database(self, tmp_path: Path) -> AsyncGenerator[Database]:
        async with PLUGIN.make(Settings(path=f"{tmp_path}/funnel.db"), HOST) as database:
            yield database
