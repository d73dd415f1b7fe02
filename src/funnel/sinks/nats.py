"""NATS: a message an event, kept by a stream of JetStream."""

import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from funnel.core.message import Numbered
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.metrics import Metrics
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import GRACE, Line, demand, ended, library, rounds, sink_over, together
from funnel.sinks.private import encryption, explaining
from funnel.wire.message import encode

log = logging.getLogger(__name__)

OVERHEAD: Final = 1024
"""Bytes of a message that are headers."""


class Settings(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """Events to a stream of NATS JetStream, which keeps each once."""

    servers: tuple[str, ...] = ()
    """As in nats://host:4222, or tls://host:4222."""
    stream: str = "funnel"
    """Made where it is not there; its limits are for you to set."""
    subject: str = "funnel.events"
    """What a message is under, with the id of its task behind a dot."""
    system_logs: bool = True
    """What the system says about tasks, too."""
    timeout: timedelta = timedelta(seconds=10)
    """For one message to be kept."""
    ca_file: str = ""
    """Certificates to trust; empty: those of the system."""
    user: str = ""
    password: Secret = Secret()
    token: Secret = Secret()
    credentials_file: str = ""
    """Of a user of an operator: the .creds file."""


class Stream:
    """A stream, and the connection to it."""

    def __init__(self, connection: Any, settings: Settings, metrics: Metrics) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream(timeout=settings.timeout.total_seconds())
        self._settings = settings
        self._metrics = metrics

    async def open(self) -> None:
        """Make the stream where it is not there."""
        subjects = [f"{self._settings.subject}.>"]
        try:
            await self._jetstream.stream_info(self._settings.stream)
        except library("nats.js.errors", "nats").NotFoundError:
            await self._jetstream.add_stream(name=self._settings.stream, subjects=subjects)

    async def send(self, told: Sequence[Numbered]) -> None:
        for part in rounds(told):
            await together([self._publish(one) for one in part])

    async def _publish(self, one: Numbered) -> None:
        text = encode(one.message)
        if len(text) + OVERHEAD > self._connection.max_payload:
            self._metrics.sink_refused("nats")
            log.error("event %s has %d bytes, too many for NATS", one.key, len(text))
            return
        await self._jetstream.publish(
            f"{self._settings.subject}.{one.message.id}",
            text,
            stream=self._settings.stream,
            headers={"Nats-Msg-Id": one.key},
        )


@asynccontextmanager
async def _connected(
    settings: Settings, context: ssl.SSLContext | None, metrics: Metrics
) -> AsyncGenerator[Stream]:
    connection = _private() if context else library("nats.aio.client", "nats").Client()
    try:
        await connection.connect(
            servers=[one for one in settings.servers if one],
            name="funnel",
            connect_timeout=settings.timeout.total_seconds(),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_hear,
            tls=context,
            **_login(settings),
        )
        stream = Stream(connection, settings, metrics)
        await stream.open()
        yield stream
    finally:
        # After a handshake that failed it would wait for ever.
        await ended(connection.close(), GRACE / 2)


def _private() -> Any:
    """A client to whom tls:// means just that: the library's own would follow a server's lead."""
    client = library("nats.aio.client", "nats").Client
    errors = library("nats.errors", "nats")

    def _connect_command(self: Any) -> Any:
        """What it says first, with the login, once it knows what the server is."""
        if not self._server_info.get("tls_required"):
            raise errors.Error("the server does not speak TLS, as tls:// in NATS.Servers demands")
        return client._connect_command(self)

    return type("Private", (client,), {"_connect_command": _connect_command})()


async def _hear(_error: Exception) -> None:
    """What goes wrong is raised by the calls as well, and said there."""


def _login(settings: Settings) -> dict[str, str]:
    given = {
        "user": settings.user,
        "password": settings.password.reveal(),
        "token": settings.token.reveal(),
        "user_credentials": settings.credentials_file,
    }
    return {name: value for name, value in given.items() if value}


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("NATS.Servers", any(settings.servers), "name one, as in nats://host:4222")
    wanted = any(one.startswith("tls:") for one in settings.servers)
    how = "begin NATS.Servers with tls://"
    context = encryption("NATS", settings.ca_file, wanted=wanted, how=how)
    errors = library("nats.errors", "nats")
    return sink_over(
        Line(
            name="NATS",
            connect=lambda: _connected(settings, context, host.metrics),
            send=Stream.send,
            faults=(errors.Error,),
            system_logs=settings.system_logs,
            explain=explaining(
                "NATS", "Servers", lambda error: "authorization violation" in str(error).lower()
            ),
        )
    )


PLUGIN = Plugin("NATS", Settings, make)
