import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from aiohttp import web
from msgspec import json
from msgspec.structs import replace
from webapp import served

from funnel.core.error import Denied, Unavailable
from funnel.core.secret import Secret
from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.webhook import PLUGIN, Settings
from funnel.testing.build import EPOCH, created, logged
from funnel.testing.sink import Receive, Received, SinkSuite, numbered

HOST = Host(now=lambda: EPOCH, deployment="test")
KEY = b"sixteen bytes or more"
SECRET = Secret("whsec_" + base64.b64encode(KEY).decode())
MOST = 100_000
"""Bytes of a body that the receiver takes."""


class Receiver:
    """Takes what is signed as it must be, and answers as it is told."""

    def __init__(self) -> None:
        self.address = ""
        self.status = 200
        self.requests = 0
        self.taken = list[Received]()

    async def hear(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = await request.read()
        if self.status != 200:
            return web.Response(status=self.status, headers={"location": "/elsewhere"})
        if len(body) > MOST:
            return web.Response(status=413)
        if not hmac.compare_digest(request.headers["webhook-signature"], signed(request, body)):
            return web.Response(status=401)
        for one in json.decode(body)["events"]:
            self.taken.append(Received(one["event"]["id"], one["event"]))
        return web.Response(status=204)


def signed(request: web.Request, body: bytes) -> str:
    """By the words of the specification."""
    about = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    mac = hmac.new(KEY, about.encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    one = Receiver()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/{path:.*}", one.hear)
    async with served(app) as one.address:
        yield one


@pytest.fixture
def settings(receiver: Receiver) -> Settings:
    return Settings(
        url=f"{receiver.address}/hook",
        secret=SECRET,
        allowed_networks=("127.0.0.0/8",),
    )


@pytest.fixture
async def sink(settings: Settings) -> AsyncGenerator[Sink]:
    async with PLUGIN.make(settings, HOST) as sink:
        yield sink


class TestWebhook(SinkSuite):
    most_bytes = MOST

    @pytest.fixture
    async def dead(self, settings: Settings) -> AsyncGenerator[Sink]:
        async with PLUGIN.make(replace(settings, url="http://127.0.0.1:1/"), HOST) as sink:
            yield sink

    @pytest.fixture
    def receive(self, receiver: Receiver) -> Receive:
        async def receive(_count: int) -> Sequence[Received]:
            return receiver.taken

        return receive


@pytest.mark.parametrize("status", [302, 307, 401, 403, 404, 408, 410, 429, 500, 503])
async def test_what_may_pass_is_tried_again(sink: Sink, receiver: Receiver, status: int) -> None:
    told = [*numbered(created())]
    receiver.status = status
    with pytest.raises(Unavailable, match=f"answered {status}"):
        await sink(told)
    assert receiver.requests == 1
    receiver.status = 200
    await sink(told)
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_refused_is_left_out(
    settings: Settings, receiver: Receiver, status: int
) -> None:
    host = Host(now=lambda: EPOCH, deployment="test")
    receiver.status = status
    new = created()
    async with PLUGIN.make(settings, host) as sink:
        await sink([*numbered(new, logged(new.task_id, "said"))])
    assert receiver.requests == 3
    refused = 'funnel_sink_refused_total{sink="webhook"} 2.0'
    assert refused in host.metrics.exposition().decode()


async def test_messages_go_in_batches(settings: Settings, receiver: Receiver) -> None:
    new = created()
    async with PLUGIN.make(replace(settings, batch=10), HOST) as sink:
        await sink([*numbered(*(logged(new.task_id, str(n)) for n in range(25)))])
    assert (receiver.requests, len(receiver.taken)) == (3, 25)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]"),
    ],
)
async def test_no_name_of_this_machine_gets_through(
    settings: Settings, receiver: Receiver, host: str
) -> None:
    url = f"{receiver.address.replace('127.0.0.1', host)}/"
    async with PLUGIN.make(replace(settings, url=url, allowed_networks=()), HOST) as sink:
        with pytest.raises((Denied, Unavailable)):
            await sink([*numbered(created())])
    assert receiver.requests == 0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"url": ""}, r"Webhook\.URL is empty"),
        ({"url": "ftp://example.org/"}, r"Webhook\.URL must be https"),
        ({"secret": Secret()}, r"Webhook\.Secret is empty"),
        ({"secret": Secret("whsec_?")}, r"Webhook\.Secret begins with whsec_ and is not base64"),
        ({"allowed_networks": ("10.0.0.1/8",)}, r"Webhook\.AllowedNetworks"),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    settings: Settings, wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Unavailable, match=complaint):
        async with PLUGIN.make(replace(settings, **wrong), HOST):
            pass
