"""The control groups of a container on this machine, and what they count; versions 1 and 2."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from funnel.core.value import Value

PROC: Final = Path("/proc")
NANO: Final = 1e-9
MICRO: Final = 1e-6
_OOM_KILL: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_USAGE_USEC: Final = re.compile(r"^usage_usec (\d+)$", re.MULTILINE)
N = TypeVar("N", int, float)
_NUMBER: Final = re.compile(r"^(\d+)$", re.MULTILINE)


class Counted(Value, kw_only=True):
    """What has been counted so far, as far as it is known."""

    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    oom_kills: int = 0

    def and_then(self, later: "Counted") -> "Counted":
        """Both together: none of the counters ever falls."""
        return Counted(
            peak_memory_bytes=_most(self.peak_memory_bytes, later.peak_memory_bytes),
            cpu_seconds=_most(self.cpu_seconds, later.cpu_seconds),
            oom_kills=max(self.oom_kills, later.oom_kills),
        )


class Group(Value):
    """Where the memory and the processor time of one container are counted."""

    memory: Path
    cpu: Path

    def count(self) -> Counted:
        """
        What the kernel says now. Blocks, but on no disk.

        Kernels before 5.19 tell no peak in version 2; there it is the largest that was seen.
        """
        memory = _first(self.memory, "memory.max_usage_in_bytes", "memory.peak", "memory.current")
        nanos = _found(_NUMBER, self.cpu / "cpuacct.usage")
        micros = _found(_USAGE_USEC, self.cpu / "cpu.stat") if nanos is None else None
        kills = [_found(_OOM_KILL, self.memory / f"memory.{n}") for n in ("oom_control", "events")]
        return Counted(
            peak_memory_bytes=memory,
            cpu_seconds=_scaled(nanos, NANO) if micros is None else micros * MICRO,
            oom_kills=max(kill or 0 for kill in kills),
        )


def group_of(pid: int, container_id: str, proc: Path = PROC) -> Group | None:
    """
    The groups of a process that is the container's; None where that is not to be seen.

    The engine may be on another machine, where the number is another process's. Blocks.
    """
    try:
        inside = (proc / str(pid) / "cgroup").read_text()
        mounted = _mounted(proc)
    except OSError:
        return None
    if container_id not in inside:
        return None
    places = dict(_places(inside, mounted))
    memory, cpu = (places.get(name) or places.get("") for name in ("memory", "cpuacct"))
    return Group(memory, cpu) if memory and cpu else None


def _places(inside: str, mounted: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    """By controller, "" for all of version 2: the directory of the group."""
    for line in inside.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in mounted:
                root, at = mounted[name]
                below = PurePosixPath(path)
                if below.is_relative_to(root):
                    yield name, Path(at) / below.relative_to(root)


@cache
def _mounted(proc: Path) -> Mapping[str, tuple[str, str]]:
    """By controller: which part of the tree of groups is mounted, and where."""
    return dict(_mounts((proc / "self" / "mountinfo").read_text()))


def _mounts(info: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for line in info.splitlines():
        left, _, right = line.partition(" - ")
        _, _, _, root, at, *_ = left.split(" ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            yield "", (root, at)
        elif kind == "cgroup":
            for name in options.split(","):
                yield name, (root, at)


def _first(folder: Path, *names: str) -> int | None:
    counts = (_found(_NUMBER, folder / name) for name in names)
    return next((count for count in counts if count is not None), None)


def _found(pattern: re.Pattern[str], path: Path) -> int | None:
    try:
        found = pattern.search(path.read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def _scaled(count: int | None, unit: float) -> float | None:
    return None if count is None else count * unit


def _most(one: N | None, other: N | None) -> N | None:
    known = [each for each in (one, other) if each is not None]
    return max(known) if known else None
