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
from funnel.sinks.redis import PLUGIN, Settings
from funnel.testing.build import EPOCH, created, logged
from funnel.testing.sink import Receive, Received, SinkSuite, numbered

pytestmark = pytest.mark.xdist_group("redis")

HOST = Host(now=lambda: EPOCH, deployment="test")
asyncio_redis: Any = import_module("redis.asyncio")


def settings(address: str, topic: str) -> Settings:
    return Settings(url=f"redis://{address}/0", stream=topic, password=Secret("testing"))


async def entries(address: str, topic: str) -> list[dict[bytes, bytes]]:
    async with asyncio_redis.from_url(f"redis://:testing@{address}/0") as client:
        return [entry for _, entry in await client.xrange(topic)]


class TestRedis(SinkSuite):
    @pytest.fixture
    async def sink(self, redis: Broker, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings(redis.address, topic), HOST) as sink:
            yield sink

    @pytest.fixture
    async def dead(self, topic: str) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(settings("127.0.0.1:1", topic), HOST) as sink:
            yield sink

    @pytest.fixture
    def receive(self, redis: Broker, topic: str) -> Receive:
        async def receive(_count: int) -> Sequence[Received]:
            found = await entries(redis.address, topic)
            return [Received(one[b"task"].decode(), json.decode(one[b"message"])) for one in found]

        return receive


async def test_a_stream_does_not_grow_for_ever(redis: Broker, topic: str) -> None:
    bounded = replace(settings(redis.address, topic), max_length=100)
    async with PLUGIN.make(bounded, HOST) as sink:
        new = created()
        for n in range(10):
            await sink([*numbered(*(logged(new.task_id, str(n)) for _ in range(100)))])
    assert 100 <= len(await entries(redis.address, topic)) <= 300


async def test_after_a_wrong_password_nothing_is_kept(redis: Broker, topic: str) -> None:
    wrong = replace(settings(redis.address, topic), password=Secret("swordfish"))
    async with PLUGIN.make(wrong, HOST) as sink:
        with pytest.raises(Unavailable, match="Redis") as refused:
            await sink([*numbered(created())])
    assert "swordfish" not in str(refused.value)
    assert not await entries(redis.address, topic)
