"""
Servers that start in no time: a process that has loaded the program forks one after the other.

It reads an order a line; it answers with the number of the process, and later with how that
ended. A server waits for one more line before it begins, so that a tracer can be there first.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import uvloop
from msgspec.structs import replace

from funnel import app, cli, plugins
from funnel.core.backoff import delays
from funnel.core.value import Value
from funnel.plugins import Plugin
from funnel.ports import Sink
from funnel.service import dispatch, worker
from funnel.service.sweep import Sweep
from funnel.storage import router
from funnel.testing.failpoints import PORTS, Failpoints, Fault

SWEEP_EVERY = timedelta(seconds=0.5)
SOON = timedelta(seconds=2)
"""The lease of a claim; all that waits, waits less than in earnest."""
NAMES = {"compute": "backend"}
"""The port that a kind of plugin answers, where it has another name."""


class Order(Value, kw_only=True):
    """A server to start in `home`; containers younger than `grace` seconds are not swept."""

    flags: tuple[str, ...]
    home: str
    faults: tuple[Fault, ...] = ()
    delay: float = 0.2
    grace: float = 60.0
    threads: int = 0
    """Threads that do what blocks; 0 leaves it to asyncio."""
    silent: bool = False
    """Keep no record of the points that are hit, which takes a system call for each."""


def main() -> None:
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if not pid:
            _serve(order)
        _say(pid)
        _, status = os.waitpid(pid, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _serve(order: Order) -> None:
    home = Path(order.home)
    sys.stdin.readline()
    os.chdir(home)
    log = os.open(home / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    hit = os.open(home / "points", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def seen(point: str) -> None:
        if not order.silent:
            os.write(hit, f"{point}\n".encode())

    points = Failpoints(order.faults, seen=seen, delay=order.delay)
    grace = timedelta(seconds=order.grace)
    with ExitStack() as stack:
        for owner, name, other in (
            (app, "find", armed_plugins(points)),
            (router, "find", armed_plugins(points)),
            (app, "SWEEP_EVERY", SWEEP_EVERY),
            (dispatch, "LEASE", SOON),
            (dispatch, "delays", partial(delays, first=0.05, most=0.2)),
            (worker, "jittered", _hurried),
            (app, "Sweep", partial(Sweep, grace=grace)),
            (asyncio, "to_thread", armed_threads(points)),
            (uvloop, "new_event_loop", _loops(order.threads)),
        ):
            stack.enter_context(patch.object(owner, name, other))
        cli.main(order.flags)


def _hurried(_pause: float, luck: float) -> float:
    return luck / 5


def armed_plugins(points: Failpoints) -> Callable[[str, str], Any]:
    def find(kind: str, name: str) -> Plugin[Any, Any]:
        plugin, port = plugins.find(kind, name), NAMES.get(kind, kind)
        # Of all the storages, the tasks of these tests have their files in one.
        if port not in {*PORTS, "sink"} or (port == "storage" and name != "local"):
            return plugin

        @asynccontextmanager
        async def make(settings: Any, host: Any) -> AsyncGenerator[Any]:
            async with plugin.make(settings, host) as adapter:
                if port == "sink":
                    yield points.armed("sink.tell", adapter, like=Sink.__call__)
                else:
                    yield points.around(port, adapter)

        return replace(plugin, make=make)

    return find


def armed_threads(points: Failpoints) -> Callable[..., Any]:
    """What blocks goes to a thread, files above all: points for all that is behind no port."""
    to_thread = asyncio.to_thread

    async def armed(call: Callable[..., Any], *args: Any, **given: Any) -> Any:
        return await to_thread(points.armed(f"thread.{_name(call)}", call), *args, **given)

    return armed


def _name(call: Callable[..., Any]) -> str:
    return getattr(call, "__qualname__", type(call).__qualname__)


def _loops(threads: int) -> Callable[[], asyncio.AbstractEventLoop]:
    make = uvloop.new_event_loop

    def new() -> asyncio.AbstractEventLoop:
        loop = make()
        if threads:
            loop.set_default_executor(ThreadPoolExecutor(threads))
        return loop

    return new


if __name__ == "__main__":
    main()
