"""
What waits beside a worker for its death, in a process of its own; run as a file, by its path.

It imports next to nothing, so that many of them cost little; what clears up takes its place.
"""

import fcntl
import json
import os
import signal
import sys
import time
from typing import Final

CLEARING: Final = (sys.executable, "-m", "funnel.keeper")


def main() -> None:
    """One line says what to do; after it comes a byte when all is well, or the end alone."""
    # Who stops a worker may well tell all processes; this one ends with the worker.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n") or sys.stdin.buffer.read(1):
        return
    order = json.loads(line)
    if not order["lock"] or _is_left(order["lock"], order["grace"]):
        _become(line)


def _is_left(path: str, grace: float) -> bool:
    """Whether no other worker has come for the attempt so long; then it is held to our end."""
    try:
        # Opened now, so that it is no other file of that name that is locked.
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        touched = os.fstat(lock).st_mtime_ns
        time.sleep(grace)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    os.set_inheritable(lock, True)  # noqa: FBT003 - no name for it
    return os.fstat(lock).st_mtime_ns == touched


def _become(line: bytes) -> None:
    """Nothing of the order is to be seen in a list of processes."""
    here, there = os.pipe()
    os.write(there, line)
    os.close(there)
    os.dup2(here, 0)
    os.execv(CLEARING[0], CLEARING)  # noqa: S606 - our own program


if __name__ == "__main__":
    main()
