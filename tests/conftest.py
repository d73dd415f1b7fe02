"""What all tests share."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import Board
from hypothesis import settings
from running import Server

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
