"""The wall clock of a server jumps, while it runs and between two runs."""

import re
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from clocks import WallClock
from running import Server, containers, until

from funnel.app import deployment_of

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("clock"), pytest.mark.timeout(120)]


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "clock")


@pytest.fixture
def server(tmp_path: Path, clock: WallClock) -> Iterator[Server]:
    home = tmp_path / "server"
    shared = ("--LocalStorage.SharedDirs", str(home / "files"))
    one = Server(home, ("--Local.Cpus", "3", "--Server.TaskRetention", "30d", *shared))
    one.under = clock.flags
    one.start()
    yield one
    if one.process.poll() is None:
        one.stop()
    one.http.close()


def begin(server: Server) -> str:
    """A task that writes down its starts, and ends once there is a file `go`."""
    folder = [{"path": "/book", "url": f"file://{server.files}", "type": "DIRECTORY"}]
    script = "echo here; echo >> /book/starts; until [ -e /book/go ]; do sleep 0.1; done; echo done"
    task_id = server.create(["sh", "-c", script], inputs=folder)
    until(lambda: "here\\n" in str(server.get(task_id)))
    return task_id


def end(server: Server, task_id: str) -> None:
    """As if the clock had always been right: once, with all output, and in the order of time."""
    (server.files / "go").touch()
    task = server.wait(task_id)
    assert task["state"] == "COMPLETE", task
    assert task["logs"][0]["logs"][0]["stdout"] == "here\ndone\n"
    assert (server.files / "starts").read_text() == "\n"
    assert times(task) == sorted(times(task))
    lines = "\n".join(task["logs"][0]["system_logs"])
    said = re.findall(r"timestamp='([^']*)'", lines)
    assert said == sorted(said)


def times(task: dict[str, Any]) -> list[datetime]:
    (log,) = task["logs"]
    (step,) = log["logs"]
    told = (log["start_time"], step["start_time"], step["end_time"], log["end_time"])
    return [datetime.fromisoformat(one) for one in (task["creation_time"], *told)]


def create_once(server: Server) -> str:
    task = {"executors": [{"image": "alpine", "command": ["true"]}]}
    answer = server.http.post("/v1/tasks", json=task, headers={"Idempotency-Key": "k"})
    made: str = answer.json()["id"]
    return made


def complete(server: Server, task_id: str) -> None:
    until(lambda: server.state(task_id) == "COMPLETE")


def ids(task_id: str) -> list[str]:
    return [one["ID"] for one in containers(task_id)]


@contextmanager
def stray(server: Server) -> Generator[str]:
    """A container with the labels of an attempt that nobody knows; its engine's clock is right."""
    labels = {"deployment": deployment_of(server.home / "work"), "task": "nobody", "attempt": "1"}
    flags = [f"--label=funnel.{key}={value}" for key, value in labels.items()]
    made = ["docker", "run", "--detach", *flags, "alpine", "sleep", "600"]
    container_id = subprocess.check_output(made, text=True).strip()
    try:
        yield container_id
    finally:
        remove = ["docker", "rm", "--force", "--volumes", container_id]
        subprocess.run(remove, check=True, stdout=subprocess.DEVNULL)


def test_jumps_of_the_clock_disturb_no_server(server: Server, clock: WallClock) -> None:
    once = create_once(server)
    complete(server, once)
    task_id = begin(server)
    container = ids(task_id)
    for jump in ("+1h", "-1h", "+1y", "-1y"):
        clock.jump(jump)
        complete(server, server.create(["true"]))
        assert create_once(server) == once
        assert ids(task_id) == container
    end(server, task_id)


def test_jumps_of_the_clock_between_two_runs_disturb_none(server: Server, clock: WallClock) -> None:
    old = server.create(["true"])
    complete(server, old)
    task_id = begin(server)
    container = ids(task_id)
    for jump in ("+1y", "-1h"):
        waiting = server.create(["true"])
        server.stop(signal.SIGKILL)
        with stray(server) as young:
            clock.jump(jump)
            server.start()
            complete(server, waiting)
            complete(server, server.create(["true"]))
            assert young[:12] in ids("nobody")
        assert ids(task_id) == container
        assert server.state(old) == "COMPLETE"
    assert "nothing has ended for 36" in server.log.read_text()
    end(server, task_id)
