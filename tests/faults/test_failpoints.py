"""A fault before and after each call of a port, in the life of a task: nothing breaks a promise."""

import re
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

import httpx
import pytest
from checker import Heard
from evidence import system_errors
from rig import FED, Rig
from running import until
from tasks import counting, sleeping, whole_life

from funnel.net.clock import now
from funnel.testing.failpoints import PORTS, Action, Fault, When, points

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("faults-1"), pytest.mark.timeout(600)]

DECIDED_HERE = {"storage.takes", "storage.roots"}
"""Nothing outside is asked, so nothing can fail."""
NOT_HIT = {
    "storage.stat": "only the command line asks",
    "database.release": "only after a fault, as in test_each_call_fails_once",
    "database.delete": "only an administrator asks",
    "database.delete_ended": "only where tasks have a time to be kept",
    "database.events_of": "for readers; nothing is done for them",
    "database.printed": "for readers; nothing is done for them",
    "database.on_commit": "for readers; nothing is done for them",
    "runtime.stop": "only at the end of a time limit, as in tests/service",
    "runtime.erase": "only where files of others cannot be removed, as in tests/contract",
    "runtime.describe": "only people ask",
}
"""Methods that the life of a task need not hit, and why."""


def live(rig: Rig, task: str) -> None:
    """A task from its beginning to its end, and another that is cancelled; as far as it goes."""
    with suppress(httpx.TransportError, httpx.HTTPStatusError, KeyError):
        asked = whole_life(rig, task), sleeping(rig, f"{task}-canceled")
        if any(rig.create(one) is not Heard.OK for one in asked):
            return
        until(lambda: rig.is_dead() or rig.has_begun(f"{task}-canceled"))
        rig.cancel_endless()
        rig.states()
        rig.get(task)
        rig.counts()
        rig.come_to_an_end()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """All that is hit, in order, when a server takes up a task, and does others from the start."""
    with closing(Rig(tmp_path_factory.mktemp("recorded"))) as rig:
        leave_one(rig)
        before = len(rig.points())
        rig.start()
        assert rig.serves()
        live(rig, "whole")
        hit = rig.points()[before:]
        rig.healed()
        return [one for one in hit if _method(one) not in DECIDED_HERE]


def leave_one(rig: Rig) -> None:
    """A server dies at work."""
    rig.start()
    assert rig.serves()
    rig.create(counting(rig, "left", 200))
    until(lambda: rig.has_begun("left"))
    rig.kill()


def _is_of_port(point: str) -> bool:
    return not point.startswith("thread.")


def _method(point: str) -> str:
    return point.rpartition(":")[0]


def test_each_method_of_each_port_is_hit_or_has_a_reason(recorded: Sequence[str]) -> None:
    """A new method is one more call that may fail: let `live` make it, or say why not."""
    known = {point for name, port in PORTS.items() for point in points(name, port)}
    assert len(known) >= 60
    missed = {_method(one) for one in known} - {_method(one) for one in recorded}
    assert missed - DECIDED_HERE <= NOT_HIT.keys()


def test_a_crash_at_each_point(
    make_rig: Callable[..., Rig], recorded: Sequence[str], *, everything: bool
) -> None:
    """
    Each server meets what the one before has left, and dies a little later.

    Each day every second point of a port; with FUNNEL_FAULTS=all, all there are.
    """
    rig = make_rig()
    leave_one(rig)
    known = list(dict.fromkeys(recorded))
    chosen = [one for one in known if _is_of_port(one)][now().toordinal() % 2 :: 2]
    for point in known if everything else chosen:
        rig.start(Fault(point=point, action=Action.CRASH))
        if rig.serves():
            live(rig, re.sub(r"\W+", "-", point))
        assert rig.kill() == -signal.SIGKILL
    assert not [why for why in system_errors(rig.healed()) if FED not in why]


@pytest.mark.parametrize("when", When)
def test_each_call_fails_once(
    make_rig: Callable[..., Rig], recorded: Sequence[str], when: When
) -> None:
    """Task after task meets the next failure, until one meets none; a server may give up."""
    rig = make_rig()
    leave_one(rig)
    left, began = {one for one in recorded if one.endswith(when)}, len(rig.points())
    for number in range(len(left)):
        if rig.is_dead():
            left.difference_update(rig.points()[began:])
            began = len(rig.points())
            rig.start(*(Fault(point=point, action=Action.ERROR) for point in left))
            rig.serves()
        live(rig, f"{when}-{number}")
        if rig.states_now().get(f"{when}-{number}") == "COMPLETE":
            break
    else:
        raise AssertionError("no task came to its end")
    evidence = rig.healed()
    states = Counter(kept.state for kept in evidence.tasks.values())
    assert set(states) <= {"COMPLETE", "CANCELED", "SYSTEM_ERROR"}
    assert states["COMPLETE"]


NOT_TWICE = ("thread.", "database.claim:before", "runtime.start")
"""
What is ours is done once. If each claim were lost, all work would wait for its lease. And before
an adapter asks for a start again, it looks whether the container has run, which no wrapper can.
"""


def _may_be_sent_again(point: str) -> bool:
    return not point.startswith(NOT_TWICE)


@pytest.mark.parametrize("action", [Action.DELAY, Action.DUPLICATE])
def test_each_call_is_slow_or_made_twice(
    make_rig: Callable[..., Rig], recorded: Sequence[str], action: Action
) -> None:
    """All of them in one life, which comes to its end all the same."""
    rig = make_rig()
    leave_one(rig)
    points = [one for one in recorded if action is Action.DELAY or _may_be_sent_again(one)]
    rig.start(*(Fault(point=one, action=action, hit=0) for one in points), delay=0.02)
    assert rig.serves()
    live(rig, action)
    rig.kill()
    states = {kept.state for kept in rig.healed().tasks.values()}
    assert states == {"COMPLETE", "CANCELED"}
