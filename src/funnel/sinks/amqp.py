"""AMQP 0-9-1, as RabbitMQ speaks it: a persistent message an event, confirmed by the broker."""

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import Line, demand, library, rounds, sink_over, together
from funnel.sinks.private import encryption, explaining
from funnel.wire.message import encode


class Settings(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """Events to a topic exchange of RabbitMQ, or another broker that speaks AMQP 0-9-1."""

    url: str = ""
    """As in amqp://host:5672/vhost, or amqps:// for TLS; without a password."""
    exchange: str = "funnel"
    """A durable topic exchange, made where it is not there."""
    queue: str = "funnel"
    """A durable queue that gets everything, made where it is not there; empty: bind your own."""
    system_logs: bool = True
    """What the system says about tasks, too."""
    timeout: timedelta = timedelta(seconds=10)
    """For one message to be kept."""
    ca_file: str = ""
    """Certificates to trust; empty: those of the system."""
    user: str = "guest"
    password: Secret = Secret("guest")


class Exchange:
    """An exchange, and how messages are made for it."""

    def __init__(self, aio_pika: Any, exchange: Any, settings: Settings) -> None:
        self._aio_pika = aio_pika
        self._exchange = exchange
        self._seconds = settings.timeout.total_seconds()

    async def send(self, told: Sequence[Numbered]) -> None:
        for part in rounds(told):
            await together([self._publish(one) for one in part])

    async def _publish(self, one: Numbered) -> None:
        """Raises what says that it was not kept, as when no queue is there to take it."""
        message = self._aio_pika.Message(
            encode(one.message),
            content_type="application/json",
            delivery_mode=self._aio_pika.DeliveryMode.PERSISTENT,
            message_id=one.key,
            type=one.message.type.value,
            timestamp=one.message.timestamp,
        )
        where = f"{one.message.id}.{one.message.type}"
        await self._exchange.publish(message, where, mandatory=True, timeout=self._seconds)


@asynccontextmanager
async def _connected(
    settings: Settings, context: ssl.SSLContext | None
) -> AsyncGenerator[Exchange]:
    aio_pika, seconds = library("aio_pika", "amqp"), settings.timeout.total_seconds()
    parts = urlsplit(settings.url)
    connection = await aio_pika.connect(
        host=parts.hostname or "localhost",
        port=parts.port or (5671 if context else 5672),
        virtualhost=unquote(parts.path[1:]) or "/",
        login=settings.user,
        password=settings.password.reveal(),
        ssl=context is not None,
        ssl_context=context,
        timeout=seconds,
    )
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.declare_exchange(
            settings.exchange, aio_pika.ExchangeType.TOPIC, durable=True, timeout=seconds
        )
        if settings.queue:
            queue = await channel.declare_queue(settings.queue, durable=True, timeout=seconds)
            await queue.bind(exchange, "#", timeout=seconds)
        yield Exchange(aio_pika, exchange, settings)


def make(settings: Settings, _host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("AMQP.URL", settings.url, "name a broker, as in amqp://host:5672/")
    wanted = settings.url.startswith("amqps:")
    how = "begin AMQP.URL with amqps://"
    context = encryption("AMQP", settings.ca_file, wanted=wanted, how=how)
    errors = library("aio_pika.exceptions", "amqp")
    refusals = (errors.AuthenticationError, errors.ProbableAuthenticationError)
    return sink_over(
        Line(
            name="AMQP",
            connect=lambda: _connected(settings, context),
            send=Exchange.send,
            faults=(errors.AMQPError, errors.DeliveryError),
            system_logs=settings.system_logs,
            explain=explaining("AMQP", "URL", lambda error: isinstance(error, refusals)),
        )
    )


PLUGIN = Plugin("AMQP", Settings, make)
