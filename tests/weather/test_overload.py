"""More is asked of the server than it can do."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from running import Server

pytestmark = [pytest.mark.xdist_group("overload"), pytest.mark.timeout(120)]

FLOOD = str(Path(__file__).with_name("flood.py"))
PLACES = 100


@contextmanager
def flooded(server: Server, connections: int, seconds: float) -> Generator[dict[str, int]]:
    """In the end, how often each answer came."""
    seen: dict[str, int] = {}
    words = [sys.executable, FLOOD, str(server.port), str(connections), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as flood:
        yield seen
        seen |= json.loads(flood.communicate(timeout=60)[0])


def memory(server: Server) -> int:
    """MiB that the process holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def test_a_flood_is_turned_away_politely_and_the_others_are_served(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop", "--Server.MaxConnections", str(PLACES))
    with flooded(server, PLACES // 4, 2) as calm:
        pass
    before = memory(server)
    waits: list[float] = []
    with flooded(server, PLACES * 10, 4) as seen:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            began = time.monotonic()
            assert server.http.get("/v1/tasks", params={"page_size": 1}).status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.02)
    assert memory(server) - before < 64
    assert seen["503"] > 0
    assert seen["without Retry-After"] == 0
    assert seen.get("stuck", 0) == 0
    assert set(seen) <= {"200", "429", "503", "closed", "without Retry-After"}
    # Twice the time, and a machine that is shared with the flood itself.
    assert seen["200"] >= calm["200"]
    assert sorted(waits)[len(waits) * 9 // 10] < 1
    began = time.monotonic()
    server.create(["true"])
    assert time.monotonic() - began < 2
    assert server.tasks_kept() == calm["200"] + seen["200"] + 1


def test_one_connection_more_than_there_are_places_is_told_so(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop", "--Server.MaxConnections", "2")
    task = b'{"executors": [{"image": "a", "command": ["b"]}]}'

    def slowly() -> Iterator[bytes]:
        yield task[:10]
        answer = httpx.get(f"{server.url}/v1/tasks")
        assert answer.status_code == 503
        assert answer.json()["code"] == "UNAVAILABLE"
        assert answer.headers["retry-after"]
        assert answer.headers["connection"] == "close"
        yield task[10:]

    def at_work() -> Iterator[bytes]:
        yield task[:10]
        assert server.http.post("/v1/tasks", content=slowly()).status_code == 200
        yield task[10:]

    assert httpx.post(f"{server.url}/v1/tasks", content=at_work()).status_code == 200
    assert httpx.get(f"{server.url}/v1/tasks").status_code == 200
