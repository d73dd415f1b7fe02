"""Brokers that are started when the first test asks for them."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from brokers import Broker, install

from funnel.testing.build import new_id


@contextmanager
def running(name: str, factory: pytest.TempPathFactory) -> Generator[Broker]:
    install(name)
    broker = Broker(name, factory.mktemp(name))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("kafka", tmp_path_factory) as broker:
        yield broker


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("nats", tmp_path_factory) as broker:
        yield broker


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("redis", tmp_path_factory) as broker:
        yield broker


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("rabbitmq", tmp_path_factory) as broker:
        yield broker


@pytest.fixture(scope="session")
def pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("pubsub", tmp_path_factory) as broker:
        yield broker


@pytest.fixture
def topic() -> str:
    """A name that no other test uses."""
    return f"topic-{new_id()}"
