"""Apache Kafka: a message an event, in the partition that the id of its task falls to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.metrics import Metrics
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import GRACE, Line, by_task, demand, library, sink_over, together
from funnel.wire.message import encode, indent

log = logging.getLogger(__name__)

OVERHEAD: Final = 512
"""Bytes of a batch that are not the message."""


class Settings(Value, kw_only=True, rename={"tls": "TLS", "ca_file": "CAFile"}):
    """Events to Apache Kafka, as the Go Funnel writes them, with the id of the task as the key."""

    servers: tuple[str, ...] = ()
    """As in broker1:9092."""
    topic: str = "funnel"
    system_logs: bool = False
    """What the system says about tasks, too."""
    timeout: timedelta = timedelta(seconds=30)
    """For one batch to be taken by all replicas that are in sync."""
    batch_bytes: Some = 1_000_000
    """Of one batch; no more than the topic takes. A message that is larger is left out."""
    tls: bool = False
    ca_file: str = ""
    """Certificates to trust; empty: those of the system."""
    user: str = ""
    """Empty: no login."""
    password: Secret = Secret()
    mechanism: str = "PLAIN"
    """Of the login: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""


class Producer:
    """
    Sends to the partitions of one topic.

    Each has one batch under way, so that nothing overtakes what comes before it. The producer
    is idempotent: what it repeats by itself is kept once.
    """

    def __init__(self, producer: Any, settings: Settings, metrics: Metrics) -> None:
        self._producer = producer
        self._topic = settings.topic
        self._most = settings.batch_bytes
        self._metrics = metrics
        partitioner = library("aiokafka.partitioner", "kafka")
        self._partition_of = partitioner.DefaultPartitioner()

    async def send(self, told: Sequence[Numbered]) -> None:
        partitions = sorted(await self._producer.partitions_for(self._topic))
        batches: dict[int, list[Numbered]] = {}
        for task_id, part in by_task(told).items():
            partition = self._partition_of(task_id.encode(), partitions, partitions)
            batches.setdefault(partition, []).extend(part)
        await together([self._send_to(partition, part) for partition, part in batches.items()])

    async def _send_to(self, partition: int, told: Sequence[Numbered]) -> None:
        """One batch after the other, in order."""
        batch = self._producer.create_batch()
        for one in told:
            message = _message(one)
            # An empty batch takes anything, whatever its limit.
            if len(message["value"]) + OVERHEAD > self._most:
                self._leave_out(one, len(message["value"]))
            elif not batch.append(**message):
                await self._flush(batch, partition)
                batch = self._producer.create_batch()
                batch.append(**message)
        await self._flush(batch, partition)

    async def _flush(self, batch: Any, partition: int) -> None:
        if batch.record_count():
            batch.close()
            await (await self._producer.send_batch(batch, self._topic, partition=partition))

    def _leave_out(self, one: Numbered, size: int) -> None:
        self._metrics.sink_refused("kafka")
        log.error("event %s has %d bytes, too many for Kafka.BatchBytes", one.key, size)


def _message(one: Numbered) -> dict[str, Any]:
    return {
        "timestamp": int(one.message.timestamp.timestamp() * 1000),
        "key": one.message.id.encode(),
        "value": indent(encode(one.message)),
        "headers": [("funnel-event", one.key.encode())],
    }


@asynccontextmanager
async def _connected(settings: Settings, metrics: Metrics) -> AsyncGenerator[Producer]:
    producer = library("aiokafka", "kafka").AIOKafkaProducer(
        bootstrap_servers=[one for one in settings.servers if one],
        client_id="funnel",
        acks="all",
        enable_idempotence=True,
        max_batch_size=settings.batch_bytes,
        max_request_size=settings.batch_bytes * 2,
        request_timeout_ms=int(settings.timeout.total_seconds() * 1000),
        **_security(settings),
    )
    try:
        await producer.start()
        yield Producer(producer, settings, metrics)
    finally:
        # It waits for what it still would send, which may be for long.
        with suppress(Exception):
            async with asyncio.timeout(GRACE / 2):
                await producer.stop()
        await producer.client.close()


def _security(settings: Settings) -> Mapping[str, Any]:
    how = ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT")
    found: dict[str, Any] = {"security_protocol": how}
    if settings.tls:
        create = library("aiokafka.helpers", "kafka").create_ssl_context
        found["ssl_context"] = create(cafile=settings.ca_file or None)
    if settings.user:
        found |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.password.reveal(),
        }
    return found


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("Kafka.Servers", any(settings.servers), "name a broker, as in broker1:9092")
    errors = library("aiokafka.errors", "kafka")
    return sink_over(
        Line(
            name="Kafka",
            connect=lambda: _connected(settings, host.metrics),
            send=Producer.send,
            faults=(errors.KafkaError,),
            system_logs=settings.system_logs,
        )
    )


PLUGIN = Plugin("Kafka", Settings, make)
