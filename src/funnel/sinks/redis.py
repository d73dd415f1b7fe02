"""Redis: an entry of a stream an event."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import Line, demand, library, sink_over
from funnel.sinks.private import encryption, explaining
from funnel.wire.message import encode


class Settings(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """Events to a stream of Redis."""

    url: str = ""
    """As in redis://host:6379/0, or rediss:// for TLS; without a password."""
    stream: str = "funnel"
    """The key of the stream."""
    max_length: Some = 1_000_000
    """Entries that are kept, or a few more; the oldest go."""
    system_logs: bool = True
    """What the system says about tasks, too."""
    timeout: timedelta = timedelta(seconds=10)
    """For one answer."""
    ca_file: str = ""
    """Certificates to trust; empty: those of the system."""
    user: str = ""
    password: Secret = Secret()


async def _send(settings: Settings, redis: Any, told: Sequence[Numbered]) -> None:
    """All or none of them, and in order: one transaction."""
    async with redis.pipeline(transaction=True) as pipeline:
        for one in told:
            entry = {
                "event": one.key,
                "task": one.message.id,
                "type": one.message.type.value,
                "message": encode(one.message),
            }
            pipeline.xadd(settings.stream, entry, maxlen=settings.max_length, approximate=True)
        await pipeline.execute()


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncGenerator[Any]:
    seconds = settings.timeout.total_seconds()
    redis = library("redis.asyncio", "redis").from_url(
        settings.url,
        username=settings.user or None,
        password=settings.password.reveal() or None,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        single_connection_client=True,
        retry=None,
        **({"ssl_ca_certs": settings.ca_file} if settings.ca_file else {}),
    )
    try:
        yield redis
    finally:
        await redis.aclose()


def make(settings: Settings, _host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("Redis.URL", settings.url, "name a server, as in redis://host:6379/0")
    wanted = settings.url.startswith("rediss:")
    encryption("Redis", settings.ca_file, wanted=wanted, how="begin Redis.URL with rediss://")
    errors = library("redis.exceptions", "redis")
    return sink_over(
        Line(
            name="Redis",
            connect=lambda: _connected(settings),
            send=lambda redis, told: _send(settings, redis, told),
            faults=(errors.RedisError,),
            system_logs=settings.system_logs,
            explain=explaining(
                "Redis", "URL", lambda error: isinstance(error, errors.AuthenticationError)
            ),
        )
    )


PLUGIN = Plugin("Redis", Settings, make)
