"""What all tests share."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from board import Board
from hypothesis import settings
from running import Server

from funnel.database.sqlite import PLUGIN, Settings, SqliteDatabase
from funnel.plugins import Host
from funnel.testing.build import EPOCH

# Machines are shared: how long an example takes says nothing about it.
settings.register_profile("funnel", deadline=None)
settings.load_profile("funnel")


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A program that a test runs in this process sends the log to streams that go with the test."""
    root = logging.getLogger()
    before = [*root.handlers]
    yield
    for one in [*root.handlers]:
        if one not in before and type(one) in {logging.StreamHandler, logging.FileHandler}:
            root.removeHandler(one)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[SqliteDatabase]:
    """In a file of its own."""
    host = Host(now=lambda: EPOCH, deployment="test")
    async with PLUGIN.make(Settings(path=str(tmp_path / "funnel.db")), host) as opened:
        yield opened


@pytest.fixture
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    opened = Board(tmp_path_factory.mktemp("board"))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts as many servers as a test asks for, each with flags of its own."""
    made: list[Server] = []

    def make(*flags: str) -> Server:
        home = tmp_path / f"server{len(made)}"
        home.mkdir()
        made.append(Server(home, flags))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.stop()
        one.http.close()
