"""A worker that is killed, and nobody starts it again: its container goes all the same."""

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from calling import Process
from evidence import containers, running_now
from fleet import Fleet, Worker
from running import until
from tasks import counting, short, sleeping

from funnel.keeper import waiter
from funnel.link.unsaid import is_left

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("remote"), pytest.mark.timeout(120)]

GRACE = 3.0
LONG = 10.0
CANARY = "swordfish"
FILE = waiter.__file__


def keepers(worker: int) -> list[int]:
    """Those that this process has."""
    return [pid for pid, parent, words in processes() if parent == worker and FILE in words]


def processes() -> Iterator[tuple[int, int, str]]:
    """Each, its parent, and its command line."""
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            with suppress(OSError):
                words = (one / "cmdline").read_text()
                yield int(one.name), int(stat(int(one.name))[1]), words


def stat(pid: int) -> list[str]:
    """From the state of a process on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def keeper_of(worker: int) -> int:
    (found,) = until(lambda: keepers(worker))
    return int(found)


def is_dead(pid: int) -> bool:
    """One whose parent does not wait for it is as good as gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return stat(pid)[0] == "Z"
    return True


@pytest.fixture
def grace() -> float:
    return GRACE


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet], grace: float) -> Fleet:
    return make_fleet(flags=(f"--Worker.RestartGrace={grace}s",))


def at_work(fleet: Fleet, name: str) -> Worker:
    worker = fleet.start(name)
    until(lambda: fleet.rig.has_begun(name))
    until(lambda: running_now(containers(fleet.deployment)))
    return worker


def lock(fleet: Fleet, name: str) -> Path:
    return fleet.work / fleet.rig.ids[name] / "1" / "private" / "unsaid"


def test_the_container_of_a_worker_that_was_killed_is_removed(fleet: Fleet) -> None:
    name = fleet.create(sleeping(fleet.rig, "sleeping"))
    worker = at_work(fleet, name)
    keeper = keeper_of(worker.pid)
    began = time.monotonic()
    worker.signal(signal.SIGKILL)
    until(lambda: not containers(fleet.deployment))
    assert time.monotonic() - began > GRACE
    until(lambda: is_dead(keeper))
    assert "its containers are removed" in worker.log
    # Nobody has the attempt any more: who comes now says that it is lost, and clears up.
    assert is_left(lock(fleet, name))
    assert fleet.start(name).code() == 1
    fleet.nothing_left()
    assert fleet.rig.states()[name] == "SYSTEM_ERROR"


@pytest.mark.parametrize("grace", [LONG])
def test_a_worker_that_is_started_again_wins(fleet: Fleet) -> None:
    """The keeper of the dead one lets go, though the second one is killed within its grace too."""
    name = fleet.create(counting(fleet.rig, "counting", 2000))
    first = at_work(fleet, name)
    keeper = keeper_of(first.pid)
    began = time.monotonic()
    first.signal(signal.SIGKILL)
    second = fleet.start(name)
    keeper_of(second.pid)
    time.sleep(max(0.0, began + 0.7 * LONG - time.monotonic()))
    second.signal(signal.SIGKILL)
    until(lambda: is_dead(keeper))
    third = fleet.start(name)
    assert third.code() == 0, fleet.logs()
    assert fleet.rig.states()[name] == "COMPLETE"
    fleet.nothing_left()


def test_a_worker_that_has_ended_leaves_no_keeper(fleet: Fleet) -> None:
    name = fleet.create(short(fleet.rig, "short"))
    worker = fleet.start(name)
    assert worker.code() == 0, worker.log
    assert not keepers(worker.pid)
    stopped = at_work(fleet, fleet.create(sleeping(fleet.rig, "sleeping")))
    keeper = keeper_of(stopped.pid)
    stopped.signal(signal.SIGTERM)
    assert stopped.code() == 143, stopped.log
    until(lambda: is_dead(keeper))


def test_a_keeper_outlives_what_ends_workers_and_knows_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a worker without a server, which nobody can start again."""
    task = {"executors": [{"image": "alpine", "command": ["sleep", "100"]}]}
    text = base64.b64encode(json.dumps(task).encode()).decode()
    work = tmp_path / "work"
    for name in ("FUNNEL_WORKER_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, CANARY)
    words = ("--Worker.WorkDir", str(work), "--Worker.StopGrace=1s")
    process = Process(0, "worker", "run", "-b", text, *words)

    def begun() -> str:
        names = [one.name for one in work.iterdir()] if work.exists() else []
        return next((one for one in names if running_now(containers(one))), "")

    task_id = until(begun)
    keeper = keeper_of(process.pid)
    for file in ("environ", "cmdline"):
        assert CANARY not in Path(f"/proc/{keeper}/{file}").read_text()
    assert os.getsid(keeper) == keeper
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(keeper, one)
    process.interrupt(signal.SIGKILL)
    answer = process.end()
    assert answer.code == -signal.SIGKILL
    until(lambda: is_dead(keeper))
    assert not containers(task_id), answer.err
