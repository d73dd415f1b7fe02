"""Google Cloud Pub/Sub: a message an event, with the id of its task as the ordering key."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from funnel.core.message import Numbered
from funnel.core.value import Value
from funnel.metrics import Metrics
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import TOGETHER, Line, by_task, demand, library, sink_over, together
from funnel.wire.message import encode, indent

log = logging.getLogger(__name__)

LARGEST: Final = 9_900_000
"""Bytes of one request; Google takes ten million."""
MANY: Final = 1000
"""Messages of one request, as Google has it."""


class Settings(Value, kw_only=True):
    """Events to Google Cloud Pub/Sub, as the Go Funnel writes them."""

    project: str = ""
    topic: str = ""
    """Made where it is not there."""
    credentials_file: str = ""
    """The key of a service account; empty: what the machine has, as Google's own tools do."""
    system_logs: bool = False
    """What the system says about tasks, too."""
    ordering: bool = True
    """Send the id of the task as the ordering key, for subscriptions that ask for order."""
    timeout: timedelta = timedelta(seconds=30)
    """For one request."""


class Topic:
    """A topic, and a client for it."""

    def __init__(self, client: Any, settings: Settings, metrics: Metrics) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._name = f"projects/{settings.project}/topics/{settings.topic}"
        self._turns = asyncio.Semaphore(TOGETHER)
        self._message = library("google.pubsub_v1", "pubsub").PubsubMessage

    async def open(self) -> None:
        """Make the topic where it is not there."""
        errors = library("google.api_core.exceptions", "pubsub")
        try:
            await self._client.get_topic(topic=self._name, **self._patience())
        except errors.NotFound:
            await self._client.create_topic(name=self._name, **self._patience())

    async def send(self, told: Sequence[Numbered]) -> None:
        """A request takes messages of one ordering key only."""
        parts = [*by_task(told).values()] if self._settings.ordering else [told]
        await together([self._send(part) for part in parts])

    async def _send(self, told: Sequence[Numbered]) -> None:
        async with self._turns:
            for messages in self._requests(told):
                await self._client.publish(topic=self._name, messages=messages, **self._patience())

    def _requests(self, told: Sequence[Numbered]) -> Iterator[Sequence[Any]]:
        found, size = list[Any](), 0
        for one in told:
            text = indent(encode(one.message))
            if len(text) > LARGEST:
                self._metrics.sink_refused("pubsub")
                log.error("event %s has %d bytes, too many for Pub/Sub", one.key, len(text))
                continue
            if len(found) == MANY or size + len(text) > LARGEST:
                yield found
                found, size = [], 0
            found.append(self._as_message(one, text))
            size += len(text)
        if found:
            yield found

    def _as_message(self, one: Numbered, text: bytes) -> Any:
        return self._message(
            data=text,
            ordering_key=one.message.id if self._settings.ordering else "",
            attributes={"event": one.key, "task": one.message.id, "type": one.message.type.value},
        )

    def _patience(self) -> dict[str, Any]:
        return {"timeout": self._settings.timeout.total_seconds(), "retry": None}


@asynccontextmanager
async def _connected(settings: Settings, metrics: Metrics) -> AsyncGenerator[Topic]:
    publisher = library("google.pubsub_v1.services.publisher", "pubsub").PublisherAsyncClient
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if emulator:
        channel = library("grpc.aio", "pubsub").insecure_channel(emulator)
        client = publisher(transport=publisher.get_transport_class("grpc_asyncio")(channel=channel))
    elif settings.credentials_file:
        client = publisher.from_service_account_file(settings.credentials_file)
    else:
        client = publisher()
    try:
        topic = Topic(client, settings, metrics)
        await topic.open()
        yield topic
    finally:
        await client.transport.close()


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("PubSub.Project", settings.project, "name the project of Google Cloud")
    demand("PubSub.Topic", settings.topic, "name the topic")
    errors = library("google.api_core.exceptions", "pubsub")
    login = library("google.auth.exceptions", "pubsub")
    return sink_over(
        Line(
            name="Pub/Sub",
            connect=lambda: _connected(settings, host.metrics),
            send=Topic.send,
            faults=(errors.GoogleAPIError, login.GoogleAuthError),
            system_logs=settings.system_logs,
        )
    )


PLUGIN = Plugin("PubSub", Settings, make)
