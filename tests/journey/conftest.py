"""A server for the tests of a module."""

from collections.abc import Iterator

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
