"""Servers, lines and workers break; each task ends once all the same, and nothing is left."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from checker import Evidence
from evidence import containers, running_now, system_errors
from fleet import Fleet, Worker
from proxy import Line, Proxy
from rig import FED, Asked, Rig
from running import until
from tasks import counting, polite, sleeping, whole_life

from funnel.core.event import Requeued
from funnel.net.clock import now
from funnel.testing.failpoints import Action, Fault

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("remote"), pytest.mark.timeout(600)]

KILLS = 20
FLEET = 10


def proved(fleet: Fleet) -> Evidence:
    """All tasks are over: nothing may be wrong now, at the server or here."""
    evidence = fleet.rig.healed()
    fleet.nothing_left()
    return evidence


def test_a_server_is_killed_again_and_again_under_ten_workers(
    make_fleet: Callable[..., Fleet],
) -> None:
    fleet = make_fleet()
    rig = fleet.rig
    names = [fleet.create(counting(rig, f"counting-{n}", 2000)) for n in range(FLEET)]
    workers = [fleet.start(name) for name in names]
    until(lambda: all(map(rig.has_begun, names)))
    for number in range(KILLS):
        rig.kill()
        # Later and later in the life of a server: it may have heard of nobody yet, or of all.
        rig.start()
        assert rig.serves()
        time.sleep(0.05 * number)
    assert [one.code() for one in workers] == [0] * FLEET, fleet.logs()
    assert set(rig.states().values()) == {"COMPLETE"}
    proved(fleet)


def test_a_line_is_cut_in_every_way(make_fleet: Callable[..., Fleet]) -> None:
    """For longer than the lease, in the middle of a task."""
    fleet = make_fleet(lease="3s", grace="2m")
    rig = fleet.rig
    with ExitStack() as stack:
        lines = {
            line: stack.enter_context(Proxy(fleet.port).running())
            for line in Line
            if line is not Line.GOOD
        }
        workers = dict[Line, Worker]()
        for line, proxy in lines.items():
            name = fleet.create(counting(rig, line.replace(" ", "-"), 600))
            workers[line] = fleet.start(name, port=proxy.port)
        until(lambda: all(rig.has_begun(line.replace(" ", "-")) for line in lines))
        for line, proxy in lines.items():
            proxy.become(line)
        time.sleep(5)
        for proxy in lines.values():
            proxy.become(Line.GOOD)
        assert {one: worker.code() for one, worker in workers.items()} == dict.fromkeys(lines, 0), (
            fleet.logs()
        )
    assert set(rig.states().values()) == {"COMPLETE"}
    proved(fleet)


def test_a_slow_line_is_enough(make_fleet: Callable[..., Fleet]) -> None:
    """A thousand bytes a second, from the beginning to the end."""
    fleet = make_fleet(lease="9s")
    with Proxy(fleet.port).running() as proxy:
        proxy.become(Line.SLOW)
        worker = fleet.start(fleet.create(whole_life(fleet.rig, "slow")), port=proxy.port)
        assert worker.code() == 0, fleet.logs()
    proved(fleet)


def test_a_worker_that_was_paused_finds_its_attempt_gone(
    make_fleet: Callable[..., Fleet],
) -> None:
    """Beyond its lease: what it still says is refused, and its container goes."""
    fleet = make_fleet(lease="2s")
    rig = fleet.rig
    asked = whole_life(rig, "paused")
    first, *rest = asked.task["executors"]
    slow = {**first, "command": [*first["command"][:2], f"sleep 4; {first['command'][2]}"]}
    resources = {"backend_parameters": {"max_attempts": "2"}}
    task = {**asked.task, "executors": [slow, *rest], "resources": resources}
    name = fleet.create(Asked(task=task, wanted=asked.wanted))
    worker = fleet.start(name)
    until(lambda: containers(fleet.deployment))
    until(lambda: rig.get(name)["logs"][-1].get("logs"))
    worker.signal(signal.SIGSTOP)
    until(lambda: len(rig.get(name)["logs"]) == 2)
    assert containers(fleet.deployment)
    worker.signal(signal.SIGCONT)
    assert worker.code() == 75, worker.log
    fleet.nothing_left()
    assert rig.states()[name] == "QUEUED"
    assert fleet.start(name).code() == 0, fleet.logs()
    (kept,) = proved(fleet).tasks.values()
    assert sum(isinstance(one, Requeued) for _, one in kept.events) == 1


def test_a_cancel_reaches_a_worker_and_the_last_words_of_its_container_are_kept(
    make_fleet: Callable[..., Fleet],
) -> None:
    fleet = make_fleet()
    rig = fleet.rig
    name = fleet.create(polite(rig, "polite"))
    worker = fleet.start(name)
    until(lambda: rig.printed(name) == "here\n")
    rig.cancel(name)
    assert worker.code() == 1, worker.log
    assert rig.printed(name) == "here\nbye\n"
    proved(fleet)


def test_a_worker_that_is_told_to_stop_says_so(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    name = fleet.create(sleeping(fleet.rig, "sleeping"))
    worker = fleet.start(name)
    until(lambda: fleet.rig.has_begun(name))
    worker.signal(signal.SIGTERM)
    assert worker.code() == 143, worker.log
    fleet.nothing_left()
    assert fleet.rig.states()[name] == "SYSTEM_ERROR"
    proved(fleet)


def test_a_worker_dies_at_each_step_and_the_next_goes_on(
    make_fleet: Callable[..., Fleet], *, everything: bool
) -> None:
    """Each day every sixth point of a task's life; with FUNNEL_FAULTS=all, all there are."""
    fleet = make_fleet()
    rig = fleet.rig
    whole = fleet.start(fleet.create(whole_life(rig, "whole")))
    assert whole.code() == 0, whole.log
    points = list(dict.fromkeys(whole.points()))
    assert len(points) > 20, points
    for number, point in enumerate(points if everything else points[now().toordinal() % 6 :: 6]):
        name = fleet.create(whole_life(rig, f"crash-{number}"))
        dying = fleet.start(name, Fault(point=point, action=Action.CRASH))
        if dying.code() != -signal.SIGKILL:
            assert dying.code() == 0, (point, dying.log)
            continue
        after = fleet.start(name)
        assert after.code() in (0, 1), (point, after.log)
    assert not [why for why in system_errors(proved(fleet)) if FED not in why]


def test_a_server_leaves_alone_what_workers_of_another_have_in_its_work_directory(
    make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    fleet = make_fleet()
    name = fleet.create(counting(fleet.rig, "counting", 1200))
    worker = fleet.start(name)
    until(lambda: running_now(containers(fleet.deployment)))
    other = Rig(tmp_path / "other", f"--Worker.WorkDir={fleet.work}", grace=0.1)
    try:
        other.start()
        assert other.serves()
        # It sweeps twice a second.
        time.sleep(3)
        assert running_now(containers(fleet.deployment))
        assert worker.code() == 0, fleet.logs()
    finally:
        other.close()
    proved(fleet)
