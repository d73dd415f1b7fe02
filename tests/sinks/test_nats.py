from collections.abc import AsyncGenerator, Sequence
from importlib import import_module
from typing import Any

import pytest
from brokers import Broker
from msgspec import json

from funnel.core.secret import Secret
from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.nats import PLUGIN, Settings
from funnel.testing.build import EPOCH
from funnel.testing.sink import Receive, Received, SinkSuite

pytestmark = pytest.mark.xdist_group("nats")

HOST = Host(now=lambda: EPOCH, deployment="test")
nats: Any = import_module("nats")


def settings(server: str, topic: str) -> Settings:
    return Settings(
        servers=(server,), stream=topic, subject=topic, user="tester", password=Secret("testing")
    )


class TestNats(SinkSuite):
    keeps_once = True
    most_bytes = 1 << 20

    @pytest.fixture
    async def sink(self, nats: Broker, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings(f"nats://{nats.address}", topic), HOST) as sink:
            yield sink

    @pytest.fixture
    async def dead(self, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings("nats://127.0.0.1:1", topic), HOST) as sink:
            yield sink

    @pytest.fixture
    def receive(self, nats: Broker, topic: str) -> Receive:
        async def receive(count: int) -> Sequence[Received]:
            return await messages(nats.address, topic, count)

        return receive


async def messages(address: str, topic: str, count: int) -> list[Received]:
    connection = await nats.connect(f"nats://tester:testing@{address}")
    try:
        subscription = await connection.jetstream().subscribe(f"{topic}.>", ordered_consumer=True)
        found: list[Received] = []
        while len(found) < count:
            one = await subscription.next_msg(timeout=10)
            found.append(Received(one.subject.removeprefix(f"{topic}."), json.decode(one.data)))
        return found
    finally:
        await connection.close()
