from collections.abc import AsyncGenerator, Sequence
from importlib import import_module
from typing import Any

import pytest
from brokers import Broker
from msgspec import json
from msgspec.structs import replace

from funnel.core.error import Unavailable
from funnel.core.secret import Secret
from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.amqp import PLUGIN, Settings
from funnel.testing.build import EPOCH, created
from funnel.testing.sink import Receive, Received, SinkSuite, numbered

pytestmark = pytest.mark.xdist_group("rabbitmq")

HOST = Host(now=lambda: EPOCH, deployment="test")
aio_pika: Any = import_module("aio_pika")


def settings(address: str, topic: str) -> Settings:
    return Settings(
        url=f"amqp://{address}/",
        exchange=topic,
        queue=topic,
        user="tester",
        password=Secret("testing"),
    )


class TestAmqp(SinkSuite):
    @pytest.fixture
    async def sink(self, rabbitmq: Broker, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings(rabbitmq.address, topic), HOST) as sink:
            yield sink

    @pytest.fixture
    async def dead(self, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings("127.0.0.1:1", topic), HOST) as sink:
            yield sink

    @pytest.fixture
    def receive(self, rabbitmq: Broker, topic: str) -> Receive:
        async def receive(count: int) -> Sequence[Received]:
            return await messages(rabbitmq.address, topic, count)

        return receive


async def messages(address: str, topic: str, count: int) -> list[Received]:
    connection = await aio_pika.connect(f"amqp://tester:testing@{address}/")
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(topic)
        found: list[Received] = []
        while len(found) < count:
            one = await queue.get(no_ack=True, timeout=10)
            found.append(Received(one.routing_key.partition(".")[0], json.decode(one.body)))
        return found


async def test_where_no_queue_listens_nothing_counts_as_told(rabbitmq: Broker, topic: str) -> None:
    alone = replace(settings(rabbitmq.address, topic), queue="")
    async with PLUGIN.make(alone, HOST) as sink:
        with pytest.raises(Unavailable, match="AMQP"):
            await sink([*numbered(created())])
