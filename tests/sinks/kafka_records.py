"""Reading what a topic of Kafka holds."""

from importlib import import_module
from typing import Any

from brokers import Broker

from funnel.core.value import Value

aiokafka: Any = import_module("aiokafka")


class Record(Value):
    """A message as Kafka has it."""

    key: str
    value: bytes
    event: str


async def records(broker: Broker, topic: str, count: int) -> list[Record]:
    """All that a topic holds, once that is so many."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=broker.address, auto_offset_reset="earliest"
    )
    found: list[Record] = []
    try:
        await consumer.start()
        while len(found) < count:
            for part in (await consumer.getmany(timeout_ms=5000)).values():
                found += [_record(one) for one in part]
    finally:
        await consumer.stop()
    return found


def _record(one: Any) -> Record:
    return Record(one.key.decode(), one.value, dict(one.headers)["funnel-event"].decode())
