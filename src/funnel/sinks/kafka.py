"""Apache Kafka: a message an event, in the partition that the id of its task falls to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from funnel.core.error import Unavailable
from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.metrics import Metrics
from funnel.plugins import Host, Plugin
from funnel.sinks.common import checked, library, without_logs
from funnel.wire.message import encode, indent

log = logging.getLogger(__name__)

OVERHEAD: Final = 512
"""Bytes of a batch that are not the message."""
GRACE: Final = 2.0
"""Seconds for a producer to close."""


class Settings(Value, kw_only=True, rename="pascal"):
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


class KafkaSink:
    """
    Answers `ports.Sink`.

    Each partition has one batch under way, and a producer that has failed is thrown away, so
    that nothing overtakes what comes before it. The producer is idempotent: what it repeats by
    itself is kept once.
    """

    def __init__(self, aiokafka: Any, settings: Settings, metrics: Metrics) -> None:
        self._aiokafka = aiokafka
        self._settings = settings
        self._metrics = metrics
        self._producer: Any = None
        self._partition_of = aiokafka.partitioner.DefaultPartitioner()

    async def __call__(self, told: Sequence[Numbered]) -> None:
        told = without_logs(told, system_logs=self._settings.system_logs)
        try:
            await self._send(told)
        except self._aiokafka.errors.KafkaError as error:
            await self.close()
            raise Unavailable(f"Kafka: {error!r}") from error
        except BaseException:
            await self.close()
            raise

    async def _send(self, told: Sequence[Numbered]) -> None:
        if self._producer is None:
            self._producer = await self._connected()
        partitions = sorted(await self._producer.partitions_for(self._settings.topic))
        chosen, batches = dict[str, int](), dict[int, list[Numbered]]()
        for one in told:
            task_id = one.message.id
            if task_id not in chosen:
                chosen[task_id] = self._partition_of(task_id.encode(), partitions, partitions)
            batches.setdefault(chosen[task_id], []).append(one)
        sending = [self._send_to(partition, part) for partition, part in batches.items()]
        for ended in await asyncio.gather(*sending, return_exceptions=True):
            if ended is not None:
                raise ended

    async def _send_to(self, partition: int, told: Iterable[Numbered]) -> None:
        """One batch after the other, in order."""
        batch = self._producer.create_batch()
        for one in told:
            message = _message(one)
            # An empty batch takes anything, whatever its limit.
            if len(message["value"]) + OVERHEAD > self._settings.batch_bytes:
                self._leave_out(one, len(message["value"]))
            elif not batch.append(**message):
                await self._flush(batch, partition)
                batch = self._producer.create_batch()
                batch.append(**message)
        await self._flush(batch, partition)

    async def _flush(self, batch: Any, partition: int) -> None:
        if batch.record_count():
            batch.close()
            sent = await self._producer.send_batch(batch, self._settings.topic, partition=partition)
            await sent

    def _leave_out(self, one: Numbered, size: int) -> None:
        self._metrics.sink_refused("kafka")
        log.error("event %s has %d bytes, too many for Kafka.BatchBytes", one.key, size)

    async def _connected(self) -> Any:
        settings = self._settings
        producer = self._aiokafka.AIOKafkaProducer(
            bootstrap_servers=[one for one in settings.servers if one],
            client_id="funnel",
            acks="all",
            enable_idempotence=True,
            max_batch_size=settings.batch_bytes,
            max_request_size=settings.batch_bytes * 2,
            request_timeout_ms=int(settings.timeout.total_seconds() * 1000),
            **_security(self._aiokafka, settings),
        )
        try:
            await producer.start()
        except BaseException:
            await _stop(producer)
            raise
        return producer

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: Any) -> None:
    with suppress(Exception):
        async with asyncio.timeout(GRACE):
            await producer.stop()
    await producer.client.close()


def _message(one: Numbered) -> dict[str, Any]:
    return {
        "timestamp": int(one.message.timestamp.timestamp() * 1000),
        "key": one.message.id.encode(),
        "value": indent(encode(one.message)),
        "headers": [("funnel-event", one.key.encode())],
    }


def _security(aiokafka: Any, settings: Settings) -> Mapping[str, Any]:
    how = ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT")
    found: dict[str, Any] = {"security_protocol": how}
    if settings.tls:
        create = aiokafka.helpers.create_ssl_context
        found["ssl_context"] = create(cafile=settings.ca_file or None)
    if settings.user:
        found |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.password.reveal(),
        }
    return found


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[KafkaSink]:
    checked("Kafka.Servers", any(settings.servers), "is empty: name a broker, as in broker1:9092")
    aiokafka = library("aiokafka", "kafka")
    library("aiokafka.partitioner", "kafka")
    library("aiokafka.helpers", "kafka")
    sink = KafkaSink(aiokafka, settings, host.metrics)
    try:
        yield sink
    finally:
        await sink.close()


PLUGIN = Plugin("Kafka", Settings, make)
