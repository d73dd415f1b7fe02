"""
Workers that start in no time: a process that has loaded the program forks one after the other.

It reads an order a line, and answers with the number of the process. How that ended, it writes
into a file itself, unless it is killed.
"""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import patch

import msgspec
from zygote import armed_plugins, armed_threads

from funnel import app, cli, workers
from funnel.core.value import Value
from funnel.link.link import Link
from funnel.testing.failpoints import Failpoints, Fault


class Start(Value, kw_only=True):
    """`home` is where it writes: its log, the points that it hits, and its exit code."""

    flags: tuple[str, ...]
    home: str
    faults: tuple[Fault, ...] = ()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        start = msgspec.json.decode(line, type=Start)
        pid = os.fork()
        if not pid:
            _work(start)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(start: Start) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    home = Path(start.home)
    home.mkdir(parents=True, exist_ok=True)
    log = os.open(home / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    hit = os.open(home / "points", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    points = Failpoints(start.faults, seen=lambda point: os.write(hit, f"{point}\n".encode()))
    code = 255
    with ExitStack() as stack, suppress(SystemExit):
        stack.enter_context(patch.object(app, "find", armed_plugins(points)))
        stack.enter_context(patch.object(asyncio, "to_thread", armed_threads(points)))
        stack.enter_context(patch.object(workers, "Link", _armed(points)))
        code = cli.call(start.flags)
    (home / "code").write_text(str(code))
    os._exit(code)


def _armed(points: Failpoints) -> type[Link]:
    """What the server is told has points as well."""

    class Armed(Link):
        append = points.armed("link.append", Link.append)

    return Armed


if __name__ == "__main__":
    main()
