from collections.abc import AsyncGenerator, Sequence
from importlib import import_module
from typing import Any

import pytest
from brokers import Broker
from msgspec import json

from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.pubsub import LARGEST, PLUGIN, Settings
from funnel.testing.build import EPOCH, created
from funnel.testing.sink import Receive, Received, SinkSuite, numbered

pytestmark = pytest.mark.xdist_group("pubsub")

HOST = Host(now=lambda: EPOCH, deployment="test")
services: Any = import_module("google.pubsub_v1.services.subscriber")
aio: Any = import_module("grpc.aio")


class Subscription:
    """What a topic holds from now on."""

    def __init__(self, address: str, topic: str) -> None:
        self._client = services.SubscriberAsyncClient
        self._name = f"projects/test/subscriptions/{topic}"
        transport = self._client.get_transport_class("grpc_asyncio")
        self._channel = aio.insecure_channel(address)
        self._client = self._client(transport=transport(channel=self._channel))
        self._topic = f"projects/test/topics/{topic}"

    async def open(self) -> None:
        await self._client.create_subscription(
            request={
                "name": self._name,
                "topic": self._topic,
                "enable_message_ordering": True,
                "ack_deadline_seconds": 60,
            }
        )

    async def messages(self, count: int) -> list[Received]:
        found: list[Received] = []
        while len(found) < count:
            pulled = await self._client.pull(
                request={"subscription": self._name, "max_messages": 1000}, timeout=10
            )
            parts = pulled.received_messages
            found += [
                Received(one.message.ordering_key, json.decode(one.message.data)) for one in parts
            ]
            acks = [one.ack_id for one in parts]
            if acks:
                await self._client.acknowledge(
                    request={"subscription": self._name, "ack_ids": acks}
                )
        return found

    async def close(self) -> None:
        await self._channel.close()


class TestPubsub(SinkSuite):
    most_bytes = LARGEST

    @pytest.fixture
    async def sink(
        self, pubsub: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncGenerator[Sink]:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        settings = Settings(project="test", topic=topic, system_logs=True)
        async with PLUGIN.make(settings, HOST) as sink:
            yield sink

    @pytest.fixture
    async def dead(self, topic: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Sink]:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        async with PLUGIN.make(Settings(project="test", topic=topic), HOST) as sink:
            yield sink

    @pytest.fixture
    async def receive(self, sink: Sink, pubsub: Broker, topic: str) -> AsyncGenerator[Receive]:
        # The sink makes the topic, and a subscription has nothing from before its time.
        await sink([*numbered(created())])
        one = Subscription(pubsub.address, topic)
        await one.open()

        async def receive(count: int) -> Sequence[Received]:
            return await one.messages(count)

        yield receive
        await one.close()
