"""
A server dies at each system call of a task's life, and nothing breaks a promise.

Each day a tenth of the calls, another one the next day; with FUNNEL_FAULTS=all, all of them.
"""

from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from evidence import system_errors
from rig import FED, Rig
from running import until
from tasks import whole_life
from tracing import killing, moments, recording, traced

from funnel.net.clock import now

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("faults-2"), pytest.mark.timeout(3600)]

PARTS = 10
HEAL_EVERY = 20
"""Kills; each leaves a task that the next server takes up, and they shall not become a crowd."""


def live(rig: Rig, name: str) -> None:
    """One task to its end, as far as the server comes."""
    if rig.serves():
        with suppress(httpx.TransportError, httpx.HTTPStatusError):
            rig.create(whole_life(rig, name))
            until(lambda: rig.is_dead() or rig.all_over())


def test_a_kill_at_each_system_call(make_rig: Callable[..., Rig], *, everything: bool) -> None:
    # With one thread for what blocks, the n-th call is the same one each time.
    rig = make_rig(threads=1)
    log = rig.home / "calls"
    with traced(rig, *recording(log)):
        live(rig, "recorded")
    known = moments(log)
    assert len(known) > 100
    chosen = known if everything else known[now().toordinal() % PARTS :: PARTS]
    killed = 0
    for number, (call, hit) in enumerate(chosen, 1):
        with traced(rig, *killing(call, hit)):
            live(rig, f"{call}-{hit}")
            killed += rig.is_dead()
        if number % HEAL_EVERY == 0 or number == len(chosen):
            errors = system_errors(rig.healed())
            assert not [why for why in errors if FED not in why]
    # Which writes share a commit is a matter of moments, so some lives make fewer calls.
    assert killed > len(chosen) * 0.8
