"""The server is told to stop while it works."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
from running import Server, until

pytestmark = [pytest.mark.xdist_group("drain"), pytest.mark.timeout(120)]

RESTARTS = 5
CLIENTS = 8
TASK = {"executors": [{"image": "alpine", "command": ["true"]}]}
BODY = b'{"executors": [{"image": "a", "command": ["b"]}]}'


def create(http: httpx.Client) -> str:
    """As a client does it that tries again whenever its connection fails, and only then."""
    headers = {"Idempotency-Key": uuid4().hex}
    while True:
        try:
            answer = http.post("/v1/tasks", json=TASK, headers=headers)
        except httpx.TransportError:
            time.sleep(0.01)
            continue
        assert answer.status_code == 200, answer.text
        made: str = answer.json()["id"]
        return made


def create_until(server: Server, over: threading.Event) -> list[str]:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        made: list[str] = []
        while not over.is_set():
            made.append(create(http))
        return made


def more_than(server: Server, tasks: int) -> Callable[[], bool]:
    return lambda: server.tasks_kept() > tasks


def test_restarts_under_load_lose_nothing_and_fail_nobody(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop")
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as clients:
        working = [clients.submit(create_until, server, over) for _ in range(CLIENTS)]
        try:
            for _ in range(RESTARTS):
                until(more_than(server, server.tasks_kept() + CLIENTS))
                assert server.stop() == 0
                server.start()
        finally:
            over.set()
        made = [task_id for one in working for task_id in one.result()]
    assert len(made) > RESTARTS * CLIENTS
    assert len(set(made)) == len(made) == server.tasks_kept()


def stopping(server: Server, how: signal.Signals = signal.SIGTERM) -> None:
    """Return when it has begun to stop."""
    server.process.send_signal(how)

    def refuses() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", server.port)) != 0

    until(refuses)


def test_a_request_that_has_begun_is_answered_before_the_end(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop")

    def body() -> Iterator[bytes]:
        yield BODY[:10]
        stopping(server)
        assert server.process.poll() is None
        yield BODY[10:]

    answer = httpx.post(f"{server.url}/v1/tasks", content=body(), timeout=30)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert server.process.wait(30) == 0
    server.start()
    assert server.state(answer.json()["id"]) in {"QUEUED", "INITIALIZING"}


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_nobody(
    make_server: Callable[..., Server], second: signal.Signals
) -> None:
    server = make_server("--Compute", "noop")

    def body() -> Iterator[bytes]:
        yield BODY[:10]
        stopping(server, signal.SIGINT)
        began = time.monotonic()
        assert server.stop(second) == -second
        assert time.monotonic() - began < 5
        yield BODY[10:]

    with pytest.raises(httpx.TransportError):
        httpx.post(f"{server.url}/v1/tasks", content=body(), timeout=30)
    server.start()


def test_a_request_that_never_ends_does_not_keep_the_server(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop")

    def body() -> Iterator[bytes]:
        yield BODY[:10]
        began = time.monotonic()
        assert server.stop() == 0
        assert 9 < time.monotonic() - began < 30
        yield BODY[10:]

    with pytest.raises(httpx.TransportError):
        httpx.post(f"{server.url}/v1/tasks", content=body(), timeout=60)
