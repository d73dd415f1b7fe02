"""Killing a server at its N-th system call of a kind, with strace."""

import re
import subprocess
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rig import Rig

CALLS: Final = (
    "fsync",
    "fdatasync",
    "write",
    "pwrite64",
    "rename",
    "renameat",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "ftruncate",
    "fchmodat",
    "copy_file_range",
    "connect",
    "sendto",
    "sendmsg",
)
"""Those that change something outside of the process, or open the way to it."""


@contextmanager
def traced(rig: Rig, *words: str) -> Generator[None]:
    """A server of which strace sees each call from the first; ends with it."""
    pid = rig.prepare()
    argv = ["strace", "--follow-forks", "--attach", str(pid), *words]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr
        assert "attached" in strace.stderr.readline()
        rig.go()
        try:
            yield
        finally:
            rig.kill()
            strace.communicate()


def counted(log: Path) -> Mapping[str, int]:
    """How often each call was made; strace counts those of each thread apart."""
    made = Counter[tuple[str, str]]()
    for line in log.read_text().splitlines():
        if found := re.match(r"(\d+) +(\w+)\(", line):
            made[found[1], found[2]] += 1
    return {
        call: max((n for (_, one), n in made.items() if one == call), default=0) for call in CALLS
    }


def moments(log: Path) -> Sequence[tuple[str, int]]:
    """Each call of a recorded life, by its kind and its number."""
    return [(call, n + 1) for call, most in counted(log).items() for n in range(most)]


def recording(log: Path) -> Sequence[str]:
    return [f"--trace={','.join(CALLS)}", f"--output={log}"]


def killing(call: str, number: int) -> Sequence[str]:
    return [f"--trace={call}", f"--inject={call}:signal=KILL:when={number}", "--output=/dev/null"]
