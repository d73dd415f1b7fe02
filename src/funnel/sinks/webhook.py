"""A webhook: messages posted to a URL, signed as the Standard Webhooks specification has it."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from msgspec import Raw, json
from msgspec.structs import replace

from funnel.core.error import Invalid, Unavailable
from funnel.core.message import Numbered
from funnel.core.reach import Reach, networks
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.net.client import Client
from funnel.net.guard import Guard
from funnel.net.web import Terms, Web
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import Line, demand, sink_over
from funnel.wire.message import encode

log = logging.getLogger(__name__)

REFUSALS: Final = frozenset({400, 413, 422})
"""What says that these very messages will never be taken; anything else may pass."""
PREFIX: Final = "whsec_"
LARGEST: Final = 1 << 20
"""Bytes of a body; a larger message goes alone."""


class Settings(Value, kw_only=True):
    """Events posted to a URL."""

    url: str = ""
    """As in https://host/path. Redirects are not followed."""
    secret: Secret = Secret()
    """What requests are signed with: whsec_ and base64, or any text."""
    allowed_networks: tuple[str, ...] = ()
    """As in 10.0.0.0/8: where the URL may lead, beside to what Outbound allows."""
    batch: Some = 100
    """Messages in one request, at most."""
    system_logs: bool = True
    """What the system says about tasks, too."""
    timeout: timedelta = timedelta(seconds=30)
    """For one answer."""


def signature(secret: Secret, request_id: str, seconds: int, body: bytes) -> str:
    """
    The header `webhook-signature`.

    >>> signature(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...     1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{request_id}.{seconds}.".encode() + body
    mac = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def _key(secret: Secret) -> bytes:
    text = secret.reveal()
    if not text.startswith(PREFIX):
        return text.encode()
    return base64.b64decode(text.removeprefix(PREFIX), validate=True)


class Webhook:
    """Answers of the other side are judged by their status alone."""

    def __init__(self, web: Web, settings: Settings, host: Host) -> None:
        self._web = web
        self._settings = settings
        self._host = host

    async def send(self, told: Sequence[Numbered]) -> None:
        for part in _parts(told, self._settings.batch):
            await self._post(part)

    async def _post(self, told: Sequence[Numbered]) -> None:
        """What is refused is halved until it is known which message that is about."""
        status = await self._answer(told)
        if 200 <= status < 300:
            return
        if status not in REFUSALS:
            raise Unavailable(f"the webhook answered {status}")
        if len(told) == 1:
            self._host.metrics.sink_refused("webhook")
            log.error("event %s was refused by the webhook with %d", told[0].key, status)
            return
        half = len(told) // 2
        await self._post(told[:half])
        await self._post(told[half:])

    async def _answer(self, told: Sequence[Numbered]) -> int:
        body = json.encode(
            {"events": [{"key": one.key, "event": Raw(encode(one.message))} for one in told]}
        )
        headers = _headers(self._settings.secret, told[0].key, self._host.now(), body)
        async with (
            asyncio.timeout(self._settings.timeout.total_seconds()),
            self._web.answered("POST", self._settings.url, headers, body) as answer,
        ):
            return answer.status


def _headers(secret: Secret, request_id: str, now: datetime, body: bytes) -> dict[str, str]:
    seconds = int(now.timestamp())
    return {
        "content-type": "application/json",
        "webhook-id": request_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(secret, request_id, seconds, body),
    }


def _parts(told: Sequence[Numbered], most: int) -> Sequence[Sequence[Numbered]]:
    found, size = [list[Numbered]()], 0
    for one in told:
        length = len(encode(one.message))
        if found[-1] and (len(found[-1]) == most or size + length > LARGEST):
            found.append([])
            size = 0
        found[-1].append(one)
        size += length
    return found


@asynccontextmanager
async def _connected(settings: Settings, reach: Reach, host: Host) -> AsyncGenerator[Webhook]:
    seconds = settings.timeout.total_seconds()
    async with Client(Guard(reach), connect=seconds, silence=seconds) as client:
        web = Web(client, reach, lambda _: Terms())
        yield Webhook(web, settings, host)


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Sink]:
    demand("Webhook.URL", settings.url, "name it, as in https://host/path")
    demand("Webhook.Secret", settings.secret, "requests are signed, so that nobody can forge them")
    if urlsplit(settings.url).scheme not in {"http", "https"}:
        raise Unavailable("Webhook.URL must be https:// or http://")
    try:
        _key(settings.secret)
        allowed = networks(settings.allowed_networks, "Webhook.AllowedNetworks")
    except binascii.Error as error:
        raise Unavailable(f"Webhook.Secret begins with {PREFIX} and is not base64") from error
    except Invalid as error:
        raise Unavailable(str(error)) from error
    setting = f"Webhook.AllowedNetworks or {host.reach.setting}"
    reach = replace(host.reach, allowed=host.reach.allowed + allowed, setting=setting)
    return sink_over(
        Line(
            name="Webhook",
            connect=lambda: _connected(settings, reach, host),
            send=Webhook.send,
            faults=(),
            system_logs=settings.system_logs,
        )
    )


PLUGIN = Plugin("Webhook", Settings, make)
