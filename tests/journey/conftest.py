"""A server for the tests of a module, and as many more as a test asks for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    if one.process.poll() is None:
        one.stop()
    one.http.close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
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
