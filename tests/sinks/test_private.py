"""Brokers by TLS, and with a login: who is not who they should be is told nothing."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from brokers import Broker
from certificates import Authority
from msgspec.structs import replace

from funnel.core.error import Unavailable
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.plugins import Host, find
from funnel.sinks import amqp, kafka, nats, redis
from funnel.testing.build import EPOCH, created
from funnel.testing.sink import numbered

HOST: Final = Host(now=lambda: EPOCH, deployment="test")
PASSWORD: Final = Secret("testing")
PATIENCE: Final = timedelta(seconds=5)


class Way(Value):
    """A sink by TLS to a broker."""

    sink: str
    broker: str
    """The fixture that starts it."""
    address: str
    """The setting that says where it is."""
    settings: Callable[[str], Any]
    """For the address of a broker, with the right login."""


def by_kafka(mechanism: kafka.Mechanism) -> Callable[[str], kafka.Settings]:
    return lambda at: kafka.Settings(
        servers=(at,),
        tls=True,
        user="tester",
        password=PASSWORD,
        mechanism=mechanism,
        timeout=PATIENCE,
    )


def by_nats(at: str) -> nats.Settings:
    return nats.Settings(
        servers=(f"tls://{at}",), user="tester", password=PASSWORD, timeout=PATIENCE
    )


def by_redis(at: str) -> redis.Settings:
    return redis.Settings(url=f"rediss://{at}/0", password=PASSWORD, timeout=PATIENCE)


def by_amqp(at: str) -> amqp.Settings:
    return amqp.Settings(url=f"amqps://{at}/", user="tester", password=PASSWORD, timeout=PATIENCE)


def way(name: str, way: Way) -> Any:
    return pytest.param(way, id=name, marks=pytest.mark.xdist_group(way.broker.split("_")[-1]))


SCRAM = by_kafka(kafka.Mechanism.SCRAM_SHA_512)
PLAIN = by_kafka(kafka.Mechanism.PLAIN)
WAYS = [
    way("kafka-scram", Way("kafka", "kafka", "Kafka.Servers", SCRAM)),
    way("kafka-plain", Way("kafka", "kafka", "Kafka.Servers", PLAIN)),
    way("nats", Way("nats", "private_nats", "NATS.Servers", by_nats)),
    way("redis", Way("redis", "redis", "Redis.URL", by_redis)),
    way("amqp", Way("amqp", "rabbitmq", "AMQP.URL", by_amqp)),
]
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def broker(way: Way, request: pytest.FixtureRequest) -> Broker:
    return request.getfixturevalue(way.broker)


def private(broker: Broker) -> str:
    """Where it speaks TLS."""
    return broker.address if broker.name == "nats" else broker.private


async def tell(way: Way, settings: Any) -> None:
    async with find("sink", way.sink).make(settings, HOST) as sink:
        await sink([*numbered(created())])


def written(authority: Authority, directory: Path) -> str:
    path = directory / "ca.pem"
    path.write_bytes(authority.certificate)
    return str(path)


@every_way
async def test_a_server_that_is_known_is_told(
    way: Way, broker: Broker, authority: Authority, tmp_path: Path
) -> None:
    known = replace(way.settings(private(broker)), ca_file=written(authority, tmp_path))
    await tell(way, known)


@every_way
async def test_a_server_of_another_authority_is_told_nothing(
    way: Way, broker: Broker, tmp_path: Path
) -> None:
    settings = way.settings(private(broker))
    stranger = written(Authority("stranger"), tmp_path)
    for unknown in (replace(settings, ca_file=stranger), settings):
        with pytest.raises(Unavailable, match=r"(?i)certificate .* from who is in \w+\.CAFile"):
            await tell(way, unknown)


@every_way
async def test_a_server_by_another_name_is_told_nothing(
    way: Way, broker: Broker, authority: Authority, tmp_path: Path
) -> None:
    port = private(broker).rpartition(":")[2]
    renamed = replace(way.settings(f"localhost:{port}"), ca_file=written(authority, tmp_path))
    with pytest.raises(Unavailable, match=rf"not valid for 'localhost'.*{way.address}"):
        await tell(way, renamed)


@every_way
async def test_a_wrong_password_is_named_by_its_setting(
    way: Way, broker: Broker, authority: Authority, tmp_path: Path
) -> None:
    settings = replace(way.settings(private(broker)), ca_file=written(authority, tmp_path))
    with pytest.raises(Unavailable, match=r"login was refused, see .*\.Password") as refused:
        await tell(way, replace(settings, password=Secret("swordfish")))
    assert "swordfish" not in str(refused.value)


@every_way
async def test_a_server_without_encryption_is_told_nothing(
    way: Way, authority: Authority, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain: Broker = request.getfixturevalue(way.broker.removeprefix("private_"))
    settings = replace(way.settings(plain.address), ca_file=written(authority, tmp_path))
    with pytest.raises(Unavailable):
        await tell(way, replace(settings, timeout=timedelta(seconds=1)))
