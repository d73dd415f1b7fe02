"""Tasks whose containers end at once, since nothing runs them: what a whole task costs us."""

import time
from collections.abc import Iterator

import httpx

from bench.measure import Aim, Pace, Row
from bench.served import Served, counts, create, load, post, served, until, wait

TASKS = 2000
CLIENTS = 32
NOOP = {"executors": [{"image": "alpine", "command": ["true"]}]}
FLAGS = ("--Runtime", "nothing", "--Local.Cpus", "64")


def noops(pace: Pace) -> Iterator[Row]:
    with served(*FLAGS) as one, one.client() as client:
        before, cpu = 0, one.cpu()
        rates, waits = list[float](), list[float]()
        for _ in range(pace.repeats):
            rates.append(_rate(one, client, before))
            before += TASKS
        cost = (one.cpu() - cpu) / before
        for _ in range(20 * pace.repeats):
            start = time.perf_counter()
            wait(client, create(client, NOOP))
            waits.append((time.perf_counter() - start) * 1e3)
    yield Row(
        work=f"no-op tasks, {TASKS} from {CLIENTS} clients, created to COMPLETE",
        unit="/s",
        repeats=rates,
        aim=Aim(1000),
        beside=[f"server {cost * 1e6:.0f} µs of processor each"],
    )
    yield Row(work="one no-op task, created to COMPLETE", unit="ms", repeats=waits)


def _rate(one: Served, client: httpx.Client, before: int) -> float:
    start = time.perf_counter()
    load(one.port, CLIENTS, [post("/tasks", NOOP)] * TASKS, endless=False)
    until(lambda: counts(client)["COMPLETE"] >= before + TASKS, within=300, every=0.05)
    return TASKS / (time.perf_counter() - start)
