"""Waiting and following while real tasks run, over kills and stops of the server."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import Server, until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("watching"), pytest.mark.timeout(180)]

MANY = 1000


def counts(to: int) -> list[str]:
    return ["sh", "-c", f"for n in $(seq {to}); do echo line $n; sleep 0.1; done"]


def counted(to: int) -> str:
    return "".join(f"line {n}\n" for n in range(1, to + 1))


@dataclass(frozen=True, slots=True)
class Told:
    id: str
    kind: str
    data: Any


def told(lines: Iterator[str]) -> Iterator[Told]:
    """Server-sent events, comments left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line and "data" in fields:
            yield Told(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
        if not line:
            fields = {}


def hear(server: Server, path: str, news: list[Told]) -> bool:
    """One connection, from after the last of the news on; whether it came to its end."""
    headers = {"Last-Event-ID": news[-1].id} if news else {}
    with suppress(httpx.TransportError), server.http.stream("GET", path, headers=headers) as answer:
        for one in told(answer.iter_lines()):
            if one.kind == "end":
                return True
            news.append(one)
    return False


def test_a_log_is_read_while_it_is_written(server: Server) -> None:
    made = server.create(counts(15))
    with server.http.stream("GET", f"/v1/tasks/{made}/logs?follow=true") as answer:
        texts = answer.iter_text()
        first = next(texts)
        assert server.state(made) == "RUNNING"
        assert first + "".join(texts) == counted(15)
    assert server.wait(made)["state"] == "COMPLETE"


def test_events_go_on_over_a_kill_without_a_gap_or_a_repetition(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    made = server.create(counts(50))
    path, news, kills = f"/v1/tasks/{made}/events?output=true", list[Told](), 0
    printed = server.home / "printed"
    with printed.open("wb") as out:
        argv = ("funnel", "task", "logs", "--follow", made, "-S", server.url)
        following = subprocess.Popen([sys.executable, "-m", *argv], stdout=out, stderr=out)
    until(printed.read_text)
    headers = {}
    while kills < 2:
        with (
            suppress(httpx.TransportError),
            server.http.stream("GET", path, headers=headers) as answer,
        ):
            for one in told(answer.iter_lines()):
                if one.kind == "end":
                    break
                news.append(one)
                if one.kind == "printed" and len(news) > 8 * (kills + 1):
                    break
        server.stop(signal.SIGKILL)
        server.start()
        headers, kills = {"Last-Event-ID": news[-1].id}, kills + 1
    until(lambda: hear(server, path, news))
    assert following.wait(timeout=60) == 0
    assert printed.read_text() == counted(50)

    pieces = [one.data for one in news if one.kind == "printed"]
    assert "".join(one["text"] for one in pieces) == counted(50)
    assert [one["start"] for one in pieces[1:]] == [one["end"] for one in pieces[:-1]]
    events = [(one.id.partition("-")[0], one.data) for one in news if one.kind != "printed"]
    whole = list[Told]()
    assert hear(server, f"/v1/tasks/{made}/events", whole)
    assert events == [(one.id, one.data) for one in whole]
    assert whole[-1].data["state"] == "COMPLETE"
    assert server.http.get(path, headers={"Last-Event-ID": news[-1].id}).status_code == 204


def test_a_thousand_waits_cost_little_and_end_together(
    make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server("--Compute", "noop", "--Server.MaxConnections", "2000")
    server.http.get("/metrics")
    before = held(server)
    made = [server.create(["true"]) for _ in range(2)]

    async def all_waits() -> list[float]:
        waits = [asyncio.create_task(waited(server, made[0])) for _ in range(MANY)]
        other = asyncio.create_task(waited(server, made[1]))
        await asyncio.to_thread(until, lambda: waiting(server) == MANY + 1)
        during = held(server)
        assert during.descriptors - before.descriptors <= MANY + 20
        assert during.kilobytes - before.kilobytes < 80 * MANY
        took = list[float]()
        for task_id, some in ((made[1], [other]), (made[0], waits)):
            began = time.monotonic()
            await asyncio.to_thread(server.cancel, task_id)
            ends = sorted(await asyncio.gather(*some))
            took += [ends[0] - began, ends[-1] - began]
        return [*took, (during.kilobytes - before.kilobytes) / MANY]

    alone, _, first, last, size = asyncio.run(all_waits())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{MANY} waits: {size:.0f} KiB each; of another task, cancelled and told in"
            f" {alone * 1000:.0f} ms; of one task, {first * 1000:.0f} to {last * 1000:.0f} ms\n"
        )
    until(lambda: held(server).descriptors <= before.descriptors + 20)
    assert waiting(server) == 0


async def waited(server: Server, task_id: str) -> float:
    """When the answer began to arrive, to a client that does no more than it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /v1/tasks/{task_id}?wait=60s HTTP/1.0\r\n\r\n".encode())
    first = await reader.readline()
    at = time.monotonic()
    assert b"200" in first
    assert b'"state":"CANCELED"' in await reader.read()
    writer.close()
    return at


def test_a_stop_holds_nobody_up_who_waits(make_server: Callable[..., Server]) -> None:
    server = make_server("--Compute", "noop")
    made = server.create(["true"])
    paths = [f"tasks/{made}?wait=60s", f"tasks/{made}/events", "events"]

    async def all_waits() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=90) as http:
            waits = [asyncio.create_task(http.get(f"/v1/{path}")) for path in paths]
            await asyncio.to_thread(until, lambda: waiting(server) == len(paths))
            began = time.monotonic()
            assert await asyncio.to_thread(server.stop) == 0
            assert time.monotonic() - began < 5
            assert [answer.status_code for answer in await asyncio.gather(*waits)] == [200] * 3

    asyncio.run(all_waits())


@dataclass(frozen=True, slots=True)
class Held:
    descriptors: int
    kilobytes: int


def held(server: Server) -> Held:
    process = Path("/proc") / str(server.process.pid)
    (size,) = [
        int(line.split()[1])
        for line in (process / "status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return Held(len([*(process / "fd").iterdir()]), size)


def waiting(server: Server) -> int:
    page = server.http.get("/metrics").text
    (line,) = [one for one in page.splitlines() if one.startswith("funnel_http_waiting ")]
    return int(float(line.split()[1]))
