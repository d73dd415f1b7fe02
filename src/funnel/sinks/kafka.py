"""Apache Kafka: a message an event, in the partition that the id of its task falls to."""

import logging
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.metrics import Metrics
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import GRACE, Line, by_task, demand, ended, library, sink_over, together
from funnel.sinks.private import encryption, explaining
from funnel.wire.message import encode, indent

log = logging.getLogger(__name__)

OVERHEAD: Final = 512
"""Bytes of a batch that are not the message."""


class Mechanism(StrEnum):
    """Of a login."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


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
    mechanism: Mechanism = Mechanism.PLAIN
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
async def _connected(
    settings: Settings, context: ssl.SSLContext | None, metrics: Metrics
) -> AsyncGenerator[Producer]:
    how = _how(settings, context)
    producer = library("aiokafka", "kafka").AIOKafkaProducer(
        bootstrap_servers=_servers(settings),
        acks="all",
        enable_idempotence=True,
        max_batch_size=settings.batch_bytes,
        max_request_size=settings.batch_bytes * 2,
        **how,
    )
    try:
        await _start(producer, settings, how)
        yield Producer(producer, settings, metrics)
    finally:
        # It waits for what it still would send, which may be for long.
        await ended(producer.stop(), GRACE / 2)
        await producer.client.close()


async def _start(producer: Any, settings: Settings, how: Mapping[str, Any]) -> None:
    """The library says only that no server would have it: ask one by one, and raise why."""
    try:
        await producer.start()
    except library("aiokafka.errors", "kafka").KafkaConnectionError:
        conn = library("aiokafka.conn", "kafka")
        for host, port, _ in conn.collect_hosts(_servers(settings)):
            (await conn.create_conn(host, port, **how)).close()
        raise


def _servers(settings: Settings) -> Sequence[str]:
    return [one for one in settings.servers if one]


def _how(settings: Settings, context: ssl.SSLContext | None) -> Mapping[str, Any]:
    """Of each connection to a broker."""
    found: dict[str, Any] = {
        "client_id": "funnel",
        "request_timeout_ms": int(settings.timeout.total_seconds() * 1000),
        "security_protocol": ("SASL_" if settings.user else "")
        + ("SSL" if context else "PLAINTEXT"),
        "ssl_context": context,
    }
    if settings.user:
        found |= {
            "sasl_mechanism": settings.mechanism.value,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.password.reveal(),
        }
    return found


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("Kafka.Servers", any(settings.servers), "name a broker, as in broker1:9092")
    context = encryption("Kafka", settings.ca_file, wanted=settings.tls, how="set Kafka.TLS")
    errors = library("aiokafka.errors", "kafka")
    refusals = (
        errors.AuthenticationFailedError,
        errors.SaslAuthenticationFailed,
        errors.UnsupportedSaslMechanismError,
    )
    return sink_over(
        Line(
            name="Kafka",
            connect=lambda: _connected(settings, context, host.metrics),
            send=Producer.send,
            faults=(errors.KafkaError,),
            system_logs=settings.system_logs,
            explain=explaining("Kafka", "Servers", lambda error: isinstance(error, refusals)),
        )
    )


PLUGIN = Plugin("Kafka", Settings, make)
