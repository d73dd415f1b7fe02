"""What a server holds, sampled again and again, and whether it grows."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from bench.measure import Aim, Row
from bench.served import MIB, Served

Read: TypeAlias = Callable[["Sample"], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at: float
    """Seconds, by a clock that only goes on."""
    life: int
    """Counts the starts of the server."""
    rss: int
    files: int
    threads: int
    log: int
    """Bytes of the write-ahead log."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How much more of something is allowed at the end of a life than at its beginning."""

    what: str
    unit: str
    read: Read
    most: float


GROWTHS = (
    Growth("memory", "MiB", lambda one: one.rss / MIB, 3.0),
    Growth("file descriptors", "", lambda one: one.files, 2.0),
    Growth("threads", "", lambda one: one.threads, 0.5),
)
"""
A slope is drawn through the whole time, so what comes and goes (connections, containers) does not
count, and what leaks does: 3 MiB in five minutes of 15,000 tasks are 200 bytes for each.
"""
LEAST = 20
"""Of fewer samples no slope is worth anything."""
MOST_LOG = 64 * MIB


def sample(one: Served, life: int) -> Sample:
    """Raise `OSError` when the server is gone."""
    process = Path(f"/proc/{one.process.pid}")
    return Sample(
        at=time.monotonic(),
        life=life,
        rss=one.memory()["Rss"],
        files=len([*(process / "fd").iterdir()]),
        threads=len([*(process / "task").iterdir()]),
        log=_size(one.folder / "funnel.db-wal"),
    )


def judged(samples: Sequence[Sample], since: float) -> Iterator[Row]:
    """From a time on, all in one life."""
    steady = [one for one in samples if one.at >= since]
    enough = Aim(LEAST)
    yield Row(work="samples once it was warm", unit="", repeats=[len(steady)], aim=enough)
    if enough.met(len(steady)):
        yield from _growths(steady)
    yield Row(
        work="largest write-ahead log",
        unit="MiB",
        repeats=[max(one.log for one in samples) / MIB],
        aim=Aim(MOST_LOG / MIB, most=True),
    )


def _growths(steady: Sequence[Sample]) -> Iterator[Row]:
    for growth in GROWTHS:
        found = [growth.read(one) for one in steady]
        yield Row(
            work=f"growth of {growth.what}",
            unit=growth.unit,
            repeats=[_slope(steady, growth.read) * (steady[-1].at - steady[0].at)],
            aim=Aim(growth.most, most=True),
            beside=[
                f"{min(found):.0f} to {max(found):.0f} in {steady[-1].at - steady[0].at:.0f} s"
            ],
        )


def _slope(samples: Sequence[Sample], read: Read) -> float:
    """Per second: the median of the slopes between all pairs, which no outlier bends."""
    return statistics.median(
        (read(later) - read(earlier)) / (later.at - earlier.at)
        for earlier, later in combinations(samples, 2)
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
