"""Tasks in real containers, against the engine alone in the same minute."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx

from bench.engine import IMAGE, containers, docker_run, docker_runs, engine
from bench.measure import Aim, Pace, Row, in_turn, quantile, ratios, timed
from bench.served import create, served, until, wait

PAIRS = 5
"""So many hello-worlds of ours and of the engine in each repeat."""
MANY, PARALLEL = 100, 16
CANCELS = 40
TRAPS: Mapping[str, str] = {
    "that ends when told": "exec sleep 1000",
    "that traps TERM": "trap 'exit 0' TERM; while :; do sleep 0.05; done",
}


def hello(pace: Pace) -> Iterator[Row]:
    """One after the other, each waited for."""
    with served() as one, one.client() as client:
        ours, theirs = partial(_one, client), partial(docker_run, "true")
        in_turn(1, ours, theirs)
        mine, bare = in_turn(PAIRS * pace.repeats, ours, theirs)
    yield Row(work="docker run, one hello-world", unit="ms", repeats=[x * 1e3 for x in bare])
    yield Row(work="hello-world, created to COMPLETE", unit="ms", repeats=[x * 1e3 for x in mine])
    yield _ratio("hello-world", ratios(mine, bare), Aim(1.15, most=True), "docker run")


def hundred(pace: Pace) -> Iterator[Row]:
    """Many at once; the engine gets them from a shell loop of the same parallelism."""
    with served("--Local.Cpus", str(PARALLEL)) as one, one.client() as client:
        ours = partial(_many, client, MANY)
        theirs = partial(docker_runs, MANY, PARALLEL)
        _one(client)
        mine, bare = in_turn(pace.repeats, ours, theirs)
    what = f"{MANY} hello-worlds, {PARALLEL} at once"
    yield Row(work=f"docker run, {what}", unit="/s", repeats=[MANY / x for x in bare])
    yield Row(work=what, unit="/s", repeats=[MANY / x for x in mine])
    yield _ratio(f"{MANY} hello-worlds, rate", ratios(bare, mine), Aim(1), "the shell loop")


def cancel(pace: Pace) -> Iterator[Row]:
    """From the request to the moment in which the engine knows the container no more."""
    del pace
    with served("--Local.Cpus", "4") as one, one.client() as client, engine() as docker:
        for what, script in TRAPS.items():
            task = _task("sh", "-c", script)
            took = [cancelled(client, docker, task) for _ in range(CANCELS)]
            yield Row(
                work=f"cancel to container gone, p99 of {CANCELS}, one {what}",
                unit="s",
                repeats=[quantile(took, 0.99)],
                aim=Aim(2, most=True),
                beside=[f"p50 {quantile(took, 0.5):.2f} s, least {min(took):.2f} s"],
            )


def cancelled(
    client: httpx.Client,
    docker: httpx.Client,
    task: Mapping[str, Any],
    begin: Callable[[str], object] = str,
) -> float:
    """Seconds; `begin` sees to it that the task is run, where the server does not."""
    made = create(client, task)
    begin(made)
    until(lambda: containers(docker, made, running=True))

    def act() -> None:
        client.post(f"/tasks/{made}:cancel").raise_for_status()
        until(lambda: not containers(docker, made))

    return timed(act)


def _one(client: httpx.Client) -> None:
    if (state := wait(client, create(client, _task("true")))) != "COMPLETE":
        raise RuntimeError(f"a hello-world ended as {state}")


def _many(client: httpx.Client, count: int) -> None:
    made = [create(client, _task("true")) for _ in range(count)]
    for one in made:
        wait(client, one)


def _task(*command: str) -> Mapping[str, Any]:
    return {"executors": [{"image": IMAGE, "command": command}]}


def _ratio(work: str, found: Sequence[float], aim: Aim, yardstick: str) -> Row:
    return Row(work=f"{work}, to {yardstick}", unit="times", repeats=found, aim=aim)
