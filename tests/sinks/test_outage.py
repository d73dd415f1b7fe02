"""Nothing is lost, and nobody waits, while Kafka or the server is away."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pytest
from brokers import Broker
from kafka_records import records
from msgspec import json
from running import Server

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)]

OUTAGE = 60.0 if os.environ.get("FUNNEL_FAULTS") == "all" else 15.0
"""Seconds for which Kafka is away."""
TASK = {"executors": [{"image": "alpine", "command": ["true"]}]}
LIFE = ("TASK_CREATED", "TASK_END_TIME", "TASK_STATE")
"""What is said of a task that is cancelled before it starts."""


class Load:
    """Creates tasks and cancels them, one after the other, and counts."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.made = list[str]()
        self.slowest = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as http:
            while not self._over.is_set():
                try:
                    began = time.monotonic()
                    task_id = http.post("/v1/tasks", json=TASK).raise_for_status().json()["id"]
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    http.post(f"/v1/tasks/{task_id}:cancel").raise_for_status()
                    self.made.append(task_id)
                except httpx.TransportError:
                    # The server is being killed.
                    time.sleep(0.05)

    def stop(self) -> None:
        self._over.set()


@contextmanager
def load(server: Server) -> Generator[Load]:
    one = Load(server)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one
    finally:
        one.stop()
        thread.join()


def wait_for(happens: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


async def arrived(kafka: Broker, topic: str, tasks: Sequence[str]) -> dict[str, list[str]]:
    """What was said of each task, in order; waits until it was said of each how it ended."""
    said: dict[str, list[str]] = {}
    count = len(tasks) * len(LIFE)
    async with asyncio.timeout(60):
        while not all(LIFE[-1] in said.get(one, ()) for one in tasks):
            found = await records(kafka, topic, count)
            said, count = {}, len(found) + 1
            for one in found:
                said.setdefault(one.key, []).append(json.decode(one.value)["type"])
    return said


def in_order(said: Sequence[str]) -> bool:
    """Each message follows the one before it, or is told again from an earlier one on."""
    places = [LIFE.index(one) for one in said]
    return places[0] == 0 and all(place <= before + 1 for before, place in pairwise(places))


@pytest.fixture
def server(make_server: Callable[..., Server], kafka: Broker, topic: str) -> Server:
    return make_server(
        *("--Compute", "noop", "--Runtime", "nothing", "--EventWriters", "kafka"),
        *("--Kafka.Servers", kafka.address, "--Kafka.Topic", topic, "--Kafka.Timeout", "5s"),
    )


async def test_kafka_may_be_away_under_load(server: Server, kafka: Broker, topic: str) -> None:
    with load(server) as running:
        wait_for(lambda: len(running.made) > 20, 20)
        kafka.stop()
        before, running.slowest = len(running.made), 0.0
        await asyncio.sleep(OUTAGE)
        made_meanwhile, slowest = len(running.made) - before, running.slowest
        kafka.start()
        wait_for(lambda: len(running.made) > before + made_meanwhile + 20, 20)
    assert made_meanwhile > 5 * OUTAGE
    assert slowest < 5
    said = await arrived(kafka, topic, running.made)
    assert all(in_order(said[one]) for one in running.made)


async def test_a_killed_server_goes_on_telling(server: Server, kafka: Broker, topic: str) -> None:
    with load(server) as running:
        for n in range(1, 4):
            wait_for(lambda n=n: len(running.made) > n * 50, 30)
            server.stop(signal.SIGKILL)
            server.start()
    said = await arrived(kafka, topic, running.made)
    assert all(in_order(said[one]) for one in running.made)


async def test_a_server_starts_without_kafka(make_server: Callable[..., Server]) -> None:
    server = make_server(
        *("--Compute", "noop", "--Runtime", "nothing", "--EventWriters", "kafka,log"),
        *("--Kafka.Servers", "127.0.0.1:1"),
    )
    task_id = server.create_task(TASK)
    wait_for(lambda: "kafka cannot be told" in server.log.read_text(), 20)
    metrics = server.http.get("/metrics").text
    assert 'funnel_sink_failures_total{sink="kafka"} 0.0' not in metrics
    assert f'"id":"{task_id}"' in server.log.read_text()
