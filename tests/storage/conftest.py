"""Stores that are started when the first test asks for them: each in a file of its own."""

from collections.abc import Iterator

import pytest
from azure_server import azure
from gcs_server import gcs
from keystone_server import cloud
from proxy import Proxy
from repository import drs
from s3_identity import around, session, time
from s3_server import s3
from sftp_server import sftp_server
from stores import Server, running
from swift_server import swift_server

__all__ = ["around", "azure", "cloud", "drs", "gcs", "s3", "session", "sftp_server", "swift_server"]
__all__ += ["time"]


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("http", tmp_path_factory.mktemp("http")) as server:
        yield server


@pytest.fixture(scope="session")
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("ftp", tmp_path_factory.mktemp("ftp")) as server:
        yield server


@pytest.fixture
def line(server: Server) -> Iterator[Proxy]:
    """To the `server` of a module."""
    with Proxy(server.port).running() as proxy:
        yield proxy
