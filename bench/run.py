"""
How fast: figures and ratios, all from one run on this machine.

    run.py [--seconds S] [--repeats N] [NAME …]      NAME: a part of the names below

A closed loop of clients in processes of their own against one server process; each figure is the
median of its repeats. `bare commits` is the yardstick for creates: the same rows, written to SQLite
with the same durability by one thread that groups 64 into a commit, and nothing else.
"""

import argparse
import json
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from load import TASK

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Bench:
    """A server to measure, and how long."""

    port: int
    folder: Path
    seconds: float
    repeats: int

    def load(self, clients: int, kind: str, *ids: str) -> dict[str, float]:
        """The median of the repeats, by rate."""
        argv = [sys.executable, str(HERE / "load.py"), str(self.port), str(clients)]
        runs: list[dict[str, float]] = [
            json.loads(
                subprocess.run(
                    [*argv, str(self.seconds), kind, *ids], check=True, capture_output=True
                ).stdout
            )
            for _ in range(self.repeats)
        ]
        return sorted(runs, key=lambda run: run["rate"])[len(runs) // 2]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}/v1", timeout=60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def server(folder: Path, *flags: str) -> Generator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    argv = [
        *(sys.executable, "-m", "funnel", "server", "run", "--Logger.Level", "error"),
        *("--Server.HTTPPort", str(port), "--Worker.WorkDir", str(folder / "work")),
        *("--SQLite.Path", str(folder / "funnel.db"), *flags),
    ]
    process = subprocess.Popen(argv, cwd=folder)
    try:
        _answers(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> None:
    for _ in range(500):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise TimeoutError("the server does not answer")


def show(name: str, run: dict[str, float], aim: float | None = None) -> None:
    wanted = f"  aim {aim:6.0f}" if aim else ""
    print(
        f"{name:34} {run['rate']:8.0f} /s  p50 {run['p50'] * 1e3:7.2f} ms"
        f"  p99 {run['p99'] * 1e3:7.2f} ms  load {run['own_cpu']:4.0%}{wanted}",
        flush=True,
    )
    if run["bad"]:
        print(f"{'':34} {run['bad']:.0f} answers were not 200")


def bare_commits(folder: Path, seconds: float) -> float:
    """Rows like those of a create, in groups of 64, each group flushed to disk."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE task (n INTEGER PRIMARY KEY, id TEXT, progress TEXT);"
        "CREATE TABLE event (position INTEGER PRIMARY KEY, task_id TEXT, seq INT, body TEXT);"
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, queue TEXT, due REAL, work TEXT)"
    )
    body = json.dumps(TASK)
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(64):
            db.execute("INSERT INTO task (id, progress) VALUES (?, ?)", (str(done), body[:200]))
            db.execute("INSERT INTO event (task_id, seq, body) VALUES (?, 1, ?)", (str(done), body))
            db.execute("INSERT INTO outbox (queue, due, work) VALUES ('x', 0, ?)", (body[:80],))
            done += 1
        db.execute("COMMIT")
    db.close()
    return done / seconds


def creates(bench: Bench) -> None:
    bare = bare_commits(bench.folder, bench.seconds)
    print(f"{'bare commits, 64 rows each':34} {bare:8.0f} /s")
    for clients, aim in ((1, 1500), (16, 5000), (64, 8000)):
        run = bench.load(clients, "create")
        show(f"create, {clients} clients", run, aim)
        print(f"{'':34} {run['rate'] / bare:8.2f} of the bare commits")


def gets(bench: Bench) -> None:
    with bench.client() as client:
        made: list[str] = [client.post("/tasks", json=TASK).json()["id"] for _ in range(50)]
    for view, aim in (("MINIMAL", 12000), ("BASIC", 10000), ("FULL", 10000)):
        show(f"get {view}, 16 clients", bench.load(16, f"get:{view}", *made), aim)


def lists(bench: Bench) -> None:
    with bench.client() as client:
        for _ in range(300):
            client.post("/tasks", json=TASK)
    for view, aim in (("MINIMAL", 2000), ("FULL", 400)):
        show(f"list 256 {view}, 4 clients", bench.load(4, f"list:{view}"), aim)
    for name, query in {
        "tag": "tag_key=workflow&tag_value=wgs-7",
        "state": "state=COMPLETE",
        "name prefix": "name_prefix=align",
        "no such tag": "tag_key=none",
        "tag and state": "tag_key=workflow&tag_value=wgs-7&state=CANCELED",
    }.items():
        show(f"filter by {name}, 4 clients", bench.load(4, f"/v1/tasks?{query}"))


def hello(bench: Bench) -> None:
    """One task after the other, each waited for, against `docker run` of the same image."""

    def ours(client: httpx.Client) -> None:
        task = {"executors": [{"image": "alpine", "command": ["true"]}]}
        made = client.post("/tasks", json=task).json()["id"]
        while client.get(f"/tasks/{made}").json()["state"] not in ("COMPLETE", "SYSTEM_ERROR"):
            time.sleep(0.005)

    def theirs() -> None:
        subprocess.run(["docker", "run", "--rm", "alpine", "true"], check=True)

    with bench.client() as client:
        ours(client)
        theirs()
        took = {"funnel": _median(lambda: ours(client)), "docker run": _median(theirs)}
    for name, seconds in took.items():
        print(f"hello world, {name:21} {seconds * 1e3:8.0f} ms")
    print(f"{'':34} {took['funnel'] / took['docker run']:8.2f} of docker run  aim 1.15")


def _median(act: Callable[[], Any], times: int = 9) -> float:
    def timed() -> float:
        start = time.perf_counter()
        act()
        return time.perf_counter() - start

    return statistics.median(timed() for _ in range(times))


PARTS: dict[str, tuple[Callable[[Bench], None], tuple[str, ...]]] = {
    "creates": (creates, ("--Compute", "noop")),
    "gets": (gets, ("--Compute", "noop")),
    "lists": (lists, ("--Compute", "noop")),
    "hello": (hello, ()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("names", nargs="*", default=list(PARTS))
    asked = parser.parse_args()
    for name in asked.names:
        part, flags = PARTS[name]
        folder = Path(tempfile.mkdtemp(prefix="funnel-bench-"))
        try:
            with server(folder, *flags) as (port, _):
                part(Bench(port, folder, asked.seconds, asked.repeats))
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
