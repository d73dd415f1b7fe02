"""Brokers that are started when the first test asks for them."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import Broker, install
from certificates import Authority, Issued

from funnel.testing.build import new_id


@contextmanager
def running(name: str, home: Path, issued: Issued | None = None) -> Generator[Broker]:
    install(name)
    broker = Broker(name, home)
    if issued:
        issued.written(home / "data")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def issued(authority: Authority) -> Issued:
    """A certificate of the brokers: for their address, and for no name."""
    return authority.issue(["127.0.0.1"])


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, issued: Issued) -> Iterator[Broker]:
    with running("kafka", tmp_path_factory.mktemp("kafka"), issued) as broker:
        yield broker


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("nats", tmp_path_factory.mktemp("nats")) as broker:
        yield broker


@pytest.fixture(scope="session")
def private_nats(tmp_path_factory: pytest.TempPathFactory, issued: Issued) -> Iterator[Broker]:
    with running("nats", tmp_path_factory.mktemp("private-nats"), issued) as broker:
        yield broker


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory, issued: Issued) -> Iterator[Broker]:
    with running("redis", tmp_path_factory.mktemp("redis"), issued) as broker:
        yield broker


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory, issued: Issued) -> Iterator[Broker]:
    with running("rabbitmq", tmp_path_factory.mktemp("rabbitmq"), issued) as broker:
        yield broker


@pytest.fixture(scope="session")
def pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("pubsub", tmp_path_factory.mktemp("pubsub")) as broker:
        yield broker


@pytest.fixture
def topic() -> str:
    """A name that no other test uses."""
    return f"topic-{new_id()}"
