"""`kill -9` at any time of a server with much to do, again and again: nothing breaks a promise."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from evidence import containers, docker
from rig import Asked, Rig
from running import until
from tasks import counting, failing, short, sleeping, whole_life

from funnel.core.container import LABEL_DEPLOYMENT, LABEL_TASK

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("faults-2"), pytest.mark.timeout(600)]

KINDS: Sequence[Callable[[Rig, str], Asked]] = (
    whole_life,
    short,
    failing,
    sleeping,
    lambda rig, name: counting(rig, name, 60),
)
SLEEPER = ("--network", "none", "alpine", "sleep", "600")


def add_strangers(rig: Rig) -> None:
    """A container without our label, and one of another deployment."""
    for label in ("some.other=label", f"{LABEL_DEPLOYMENT}=another"):
        name = f"stranger-{rig.deployment}-{len(rig.strangers)}"
        docker("run", "--detach", "--name", name, "--label", label, *SLEEPER)
        rig.strangers.append(name)


def work(rig: Rig, chance: Random, names: Sequence[str]) -> None:
    """Ask for tasks of all kinds, and cancel some; whether the server lives or not."""
    for name in names:
        rig.create(chance.choice(KINDS)(rig, name))
    for name in chance.sample([*rig.ids], len(rig.ids) // 4):
        rig.cancel(name)


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_under_load(make_rig: Callable[..., Rig], seed: int) -> None:
    kill_at_random(make_rig("--Local.Cpus=4"), seed, kills=5)


@pytest.mark.parametrize("seed", range(100, 110))
def test_many_kills_at_random_under_load(
    make_rig: Callable[..., Rig], seed: int, *, everything: bool
) -> None:
    if everything:
        kill_at_random(make_rig("--Local.Cpus=4"), seed, kills=10)


def kill_at_random(rig: Rig, seed: int, *, kills: int) -> None:
    chance = Random(seed)
    add_strangers(rig)
    for number in range(kills):
        rig.start()
        # Most servers live to see their tasks; some die while they start.
        if chance.random() < 0.8:
            rig.serves()
            work(rig, chance, [f"task-{seed}-{number}-{each}" for each in range(8)])
        time.sleep(chance.expovariate(1.5))
        rig.kill()
    rig.healed()


def test_output_goes_on_where_it_stopped(make_rig: Callable[..., Rig]) -> None:
    """A task that prints outlives three servers, and each of its lines is stored once."""
    rig = make_rig()
    rig.start()
    rig.serves()
    asked = counting(rig, "counting", 300)
    rig.create(asked)
    for part in range(1, 4):
        until(partial(_has_printed, rig, part * 40))
        rig.kill()
        rig.start()
        assert rig.serves()
    until(rig.all_over)
    (text,) = asked.wanted.values()
    assert rig.get("counting")["logs"][0]["logs"][0]["stdout"] == text
    rig.healed()


def _has_printed(rig: Rig, lines: int) -> bool:
    """As far as readers see."""
    logs: Any = rig.get("counting")["logs"][0].get("logs") or [{}]
    printed: str = logs[0].get("stdout", "")
    return printed.count("\n") > lines


def test_an_orphan_has_its_grace(make_rig: Callable[..., Rig]) -> None:
    """What nobody owns is removed, but not before it is old enough to be nobody's."""
    rig = make_rig(grace=3.0)
    add_strangers(rig)
    rig.start()
    assert rig.serves()
    labels = (f"{LABEL_DEPLOYMENT}={rig.deployment}", f"{LABEL_TASK}=nobody")
    began = time.monotonic()
    docker("run", "--detach", *(f"--label={one}" for one in labels), *SLEEPER)
    until(lambda: not containers(rig.deployment))
    assert time.monotonic() - began > 3
    rig.healed()
