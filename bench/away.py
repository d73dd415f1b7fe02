"""Workers that are away from the server: what they say, hold, and how soon they are stopped."""

import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from bench.containers import cancelled
from bench.engine import IMAGE, engine
from bench.measure import Aim, Pace, Row, quantile
from bench.served import Served, create, served
from bench.task import TASK

EXTERNAL = ("--Compute", "external")
EVENTS = 50
"""In each report; a worker gathers no more than 200."""
IDLE = 200
CANCELS = 20


def reports(pace: Pace) -> Iterator[Row]:
    """Until they are on the server's disk."""
    with served(*EXTERNAL) as one, one.client() as client:
        for workers, aim in ((1, None), (10, None), (100, 20_000)):
            runs = [_said(one, client, workers, pace.seconds) for _ in range(pace.repeats)]
            cost = sorted(run["cost"] for run in runs)[len(runs) // 2]
            own = max(run["own_cpu"] for run in runs)
            yield Row(
                work=f"events of {workers} remote worker{'s' * (workers > 1)}, {EVENTS} at once",
                unit="/s",
                repeats=[run["rate"] for run in runs],
                aim=Aim(aim) if aim else None,
                beside=(
                    f"server {cost * 1e6:.0f} µs of processor each",
                    f"generator {own:.0%} of one",
                ),
            )


def holding(pace: Pace) -> Iterator[Row]:
    """What the server's memory grows by with each worker that is connected and silent."""
    found = list[float]()
    for _ in range(pace.repeats):
        with served(*EXTERNAL) as one, one.client() as client:
            tasks = [create(client, TASK) for _ in range(2 * IDLE)]
            with _connected(one, tasks[:IDLE]):
                before = one.memory()["Rss"]
                with _connected(one, tasks[IDLE:]):
                    found.append((one.memory()["Rss"] - before) / IDLE / 1024)
    yield Row(
        work=f"memory for a connected remote worker, mean of {IDLE}",
        unit="KiB",
        repeats=found,
        aim=Aim(100, most=True),
    )


def recalls(pace: Pace) -> Iterator[Row]:
    """From the request to the moment in which the engine knows a remote container no more."""
    del pace
    with served(*EXTERNAL) as one, one.client() as client, engine() as docker:
        task = {"executors": [{"image": IMAGE, "command": ["sh", "-c", "exec sleep 1000"]}]}
        took, workers = list[float](), list["subprocess.Popen[bytes]"]()

        def begin(made: str) -> None:
            workers.append(_run(one, made))

        for _ in range(CANCELS):
            took.append(cancelled(client, docker, task, begin))
            workers[-1].wait(timeout=60)
    yield Row(
        work=f"cancel to a remote worker's container gone, p99 of {CANCELS}",
        unit="s",
        repeats=[quantile(took, 0.99)],
        aim=Aim(2, most=True),
        beside=[f"p50 {quantile(took, 0.5):.2f} s, least {min(took):.2f} s"],
    )


def _run(one: Served, made: str) -> "subprocess.Popen[bytes]":
    words = (
        *("worker", "run", "--taskID", made, "--Worker.WorkDir", str(one.folder / "away")),
        *("--RPCClient.ServerAddress", f"127.0.0.1:{one.rpc_port}", "--Logger.Level", "error"),
    )
    return subprocess.Popen(
        [sys.executable, "-m", "funnel", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _said(one: Served, client: httpx.Client, workers: int, seconds: float) -> Mapping[str, float]:
    tasks = [create(client, TASK) for _ in range(workers)]
    before = one.cpu()
    asked = {"port": one.rpc_port, "tasks": tasks, "seconds": seconds, "events": EVENTS}
    told = subprocess.run(
        [sys.executable, "-m", "bench.reports"],
        check=True,
        input=json.dumps(asked).encode() + b"\n",
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
    )
    ran: dict[str, float] = json.loads(told.stdout)
    return {**ran, "cost": (one.cpu() - before) / ran["events"]}


@contextmanager
def _connected(one: Served, tasks: Sequence[str]) -> Generator[None]:
    asked = {"port": one.rpc_port, "tasks": tasks, "seconds": 0, "events": 0}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "bench.reports"], **pipes) as idle:
        if not idle.stdin or not idle.stdout:
            raise RuntimeError("the workers cannot be spoken to")
        idle.stdin.write(json.dumps(asked).encode() + b"\n")
        idle.stdin.flush()
        if idle.stdout.readline() != b"connected\n":
            raise RuntimeError("the workers could not connect")
        yield
        idle.stdin.close()
        idle.wait(timeout=60)
