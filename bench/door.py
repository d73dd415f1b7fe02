"""Over HTTP: creates, gets and lists of tasks that nothing runs, and the load generator alone."""

import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench.bare import bare_creates
from bench.measure import Aim, Pace, Row, ratios
from bench.served import Ran, Served, get, load, post, served
from bench.task import TASK

NOTHING = ("--Compute", "noop")
DIFFERENT = 1000
"""So many different requests are made before the first comes again."""


def row(work: str, runs: Sequence[Ran], aim: float | None = None, *beside: str) -> Row:
    return Row(
        work=work,
        unit="/s",
        repeats=[run.rate for run in runs],
        aim=None if aim is None else Aim(aim),
        beside=(*beside, *about(runs)),
    )


def about(runs: Sequence[Ran]) -> Sequence[str]:
    """What else the run of the median tells."""
    run = sorted(runs, key=lambda one: one.rate)[len(runs) // 2]
    told = (
        f"p50 {run.p50 * 1e3:.2f} ms, p99 {run.p99 * 1e3:.2f} ms",
        f"server {run.cost * 1e6:.0f} µs of processor each",
        f"generator {run.own_cpu:.0%} of one",
    )
    bad = sum(one.bad for one in runs)
    return (f"{bad} ANSWERS WERE NOT 200", *told) if bad else told


def creates(pace: Pace) -> Iterator[Row]:
    requests = [post("/tasks", {**TASK, "name": f"align {n}"}) for n in range(DIFFERENT)]
    with served(*NOTHING) as one:
        for clients, aim in ((1, 1500), (16, 5000), (64, 8000)):
            group = 1 if clients == 1 else 64
            bare, runs = list[float](), list[Ran]()
            for _ in range(pace.repeats):
                bare.append(bare_creates(one.folder, group, pace.seconds / 2))
                runs += one.load(clients, requests, Pace(pace.seconds, 1))
            work = f"create, {clients} client{'s' * (clients > 1)}"
            yield Row(work=f"bare SQLite, {group} to a commit", unit="/s", repeats=bare)
            share = Row(work="", unit="", repeats=ratios([run.rate for run in runs], bare)).figure
            yield row(work, runs, aim, f"{share:.2f} of bare SQLite")


def gets(pace: Pace) -> Iterator[Row]:
    with served(*NOTHING) as one:
        made = _created(one, 50)
        for view, aim in (("MINIMAL", 12000), ("BASIC", 10000), ("FULL", 10000)):
            requests = [get(f"/tasks/{task}?view={view}") for task in made]
            yield row(f"get {view}, 16 clients, new tasks", one.load(16, requests, pace), aim)


def lists(pace: Pace) -> Iterator[Row]:
    with served(*NOTHING) as one:
        _created(one, 300)
        for view, aim in (("MINIMAL", 2000), ("FULL", 400)):
            requests = [get(f"/tasks?page_size=256&view={view}")]
            work = f"pages of 256 {view}, 4 clients, new tasks"
            yield row(work, one.load(4, requests, pace), aim)


def generator(pace: Pace) -> Iterator[Row]:
    """How fast the load generator is against something that answers at once."""
    for clients, size, what in ((16, 64, "small answers"), (4, 200_000, "answers of 200 kB")):
        responder = subprocess.Popen(
            [sys.executable, "-m", "bench.responder", str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with responder:
            port = int(responder.stdout.readline() if responder.stdout else "")
            requests = [get("/tasks/x")]
            runs = [load(port, clients, requests, pace.seconds / 2) for _ in range(pace.repeats)]
            yield Row(
                work=f"load generator alone, {clients} clients, {what}",
                unit="/s",
                repeats=[run["rate"] for run in runs],
            )


def _created(one: Served, count: int) -> Sequence[str]:
    with one.client() as client:
        return [client.post("/tasks", json=TASK).json()["id"] for _ in range(count)]
