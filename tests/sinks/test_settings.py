"""What is wrong with a stream's settings, or with the installation, is said before the start."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from funnel.core.error import Unavailable
from funnel.plugins import Host, find
from funnel.testing.build import EPOCH

HOST = Host(now=lambda: EPOCH, deployment="test")
NEEDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "amqp": ("aio_pika.exceptions", {"url": "amqp://127.0.0.1/"}),
    "kafka": ("aiokafka.errors", {"servers": ("127.0.0.1:1",)}),
    "nats": ("nats.errors", {"servers": ("nats://127.0.0.1:1",)}),
    "pubsub": ("google.api_core.exceptions", {"project": "test", "topic": "test"}),
    "redis": ("redis.exceptions", {"url": "redis://127.0.0.1/"}),
}
EMPTY = {
    "amqp": r"AMQP\.URL is empty",
    "kafka": r"Kafka\.Servers is empty",
    "nats": r"NATS\.Servers is empty",
    "pubsub": r"PubSub\.Project is empty",
    "redis": r"Redis\.URL is empty",
    "webhook": r"Webhook\.URL is empty",
}


@pytest.mark.parametrize("name", NEEDED)
async def test_a_missing_library_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, given = NEEDED[name]
    monkeypatch.setitem(sys.modules, module, None)
    plugin = find("sink", name)
    with pytest.raises(Unavailable, match=rf"pip install 'funnel-tes\[{name}\]'"):
        async with plugin.make(plugin.settings(**given), HOST):
            pass


@pytest.mark.parametrize("name", EMPTY)
async def test_what_cannot_be_left_out_is_named(name: str) -> None:
    plugin = find("sink", name)
    with pytest.raises(Unavailable, match=EMPTY[name]):
        async with plugin.make(plugin.settings(), HOST):
            pass


@pytest.mark.parametrize(
    ("name", "private", "plain"),
    [
        ("amqp", {"url": "amqps://127.0.0.1/"}, {"url": "amqp://127.0.0.1/"}),
        ("kafka", {"servers": ("127.0.0.1:1",), "tls": True}, {"servers": ("127.0.0.1:1",)}),
        ("nats", {"servers": ("tls://127.0.0.1:1",)}, {"servers": ("nats://127.0.0.1:1",)}),
        ("redis", {"url": "rediss://127.0.0.1/"}, {"url": "redis://127.0.0.1/"}),
    ],
)
async def test_authorities_that_are_of_no_use_are_named(
    name: str, private: Mapping[str, Any], plain: Mapping[str, Any], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for given, file, why in (
        (private, tmp_path / "absent.pem", r"\w+\.CAFile: cannot use .*absent.pem: No such file"),
        (private, empty, r"\w+\.CAFile: cannot use .*empty.pem: no certificates in PEM"),
        (plain, empty, r"\w+\.CAFile is set, but the connection is not encrypted"),
    ):
        plugin = find("sink", name)
        with pytest.raises(Unavailable, match=why):
            async with plugin.make(plugin.settings(**given, ca_file=str(file)), HOST):
                pass
