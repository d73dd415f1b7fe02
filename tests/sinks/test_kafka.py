from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest
from brokers import Broker
from google.protobuf import json_format
from kafka_records import records
from msgspec import json
from msgspec.structs import replace

from funnel.core.error import Unavailable
from funnel.core.secret import Secret
from funnel.core.state import State
from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.kafka import PLUGIN, Settings
from funnel.testing.build import EPOCH, created, logged, moved
from funnel.testing.sink import Receive, Received, SinkSuite, numbered
from funnel.wire.gen import events_pb2

pytestmark = pytest.mark.xdist_group("kafka")
HOST = Host(now=lambda: EPOCH, deployment="test")


@pytest.fixture
async def sink(kafka: Broker, topic: str) -> AsyncGenerator[Sink]:
    settings = Settings(
        servers=(kafka.address,), topic=topic, system_logs=True, batch_bytes=100_000
    )
    async with PLUGIN.make(settings, HOST) as sink:
        yield sink


class TestKafka(SinkSuite):
    most_bytes = 100_000

    @pytest.fixture
    def receive(self, kafka: Broker, topic: str) -> Receive:
        async def receive(count: int) -> Sequence[Received]:
            found = await records(kafka, topic, count)
            return [Received(one.key, json.decode(one.value)) for one in found]

        return receive

    @pytest.fixture
    async def dead(self) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(Settings(servers=("127.0.0.1:1",)), HOST) as sink:
            yield sink


async def test_messages_are_as_the_reference_writes_them(
    sink: Sink, kafka: Broker, topic: str
) -> None:
    new = created()
    await sink([*numbered(new)])
    (one,) = await records(kafka, topic, 1)
    assert one.value.startswith(b'{\n\t"id": ')
    told = json_format.Parse(one.value, events_pb2.Event())
    assert (told.id, told.task.executors[0].image) == (new.task_id, "alpine")
    assert one.event == f"{new.task_id}-1-0"


async def test_system_logs_are_left_out_unless_asked_for(kafka: Broker, topic: str) -> None:
    new = created()
    async with PLUGIN.make(Settings(servers=(kafka.address,), topic=topic), HOST) as sink:
        await sink([*numbered(new, logged(new.task_id, "said"), moved(new.task_id, State.RUNNING))])
    kinds = [json.decode(one.value)["type"] for one in await records(kafka, topic, 2)]
    assert kinds == ["TASK_CREATED", "TASK_STATE"]


async def test_a_login_lets_in_who_knows_the_password(kafka: Broker, topic: str) -> None:
    right = Settings(
        servers=(f"127.0.0.1:{kafka.port + 2}",),
        topic=topic,
        user="tester",
        password=Secret("testing"),
    )
    async with PLUGIN.make(right, HOST) as sink:
        await sink([*numbered(created())])
    for wrong in (replace(right, password=Secret("swordfish")), replace(right, user="")):
        async with PLUGIN.make(replace(wrong, timeout=timedelta(seconds=3)), HOST) as sink:
            with pytest.raises(Unavailable, match="Kafka") as refused:
                await sink([*numbered(created())])
        assert "swordfish" not in str(refused.value)
    assert len(await records(kafka, topic, 1)) == 1
