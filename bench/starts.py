"""How long a start takes with many tasks stored, after a kill, and how much memory it needs."""

import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import stored
from bench.door import NOTHING
from bench.lookups import COUNTS, FILTERS
from bench.measure import Aim, Pace, Row
from bench.pattern import new_id
from bench.served import MIB, Served, answers, create, get, scratch, start, stop
from bench.task import TASK

MEMORY = 150


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process, and bytes once it had answered."""

    served: float
    created: float
    rss: int
    pss: int


def starts(pace: Pace) -> Iterator[Row]:
    for count in COUNTS[1:]:
        with stored.database(count) as path, scratch() as folder:
            # The first finds the file cold, as the others do not.
            found = [_start(folder, path) for _ in range(pace.repeats + 1)][1:]
            yield _row(f"start to first answer, {count:,} stored", [x.served for x in found])
            yield _row(f"start to first create, {count:,} stored", [x.created for x in found])
            yield _memory(f"memory after the start, {count:,} stored", found)
            if count == COUNTS[-1]:
                yield _loaded(folder, path, count, pace)


def _start(folder: Path, database: Path) -> Start:
    began = time.perf_counter()
    one = start(folder, *NOTHING, database=database)
    try:
        with one.client() as client:
            answers(one)
            served = time.perf_counter() - began
            create(client, TASK)
            created = time.perf_counter() - began
        memory = one.memory()
        return Start(served, created, memory["Rss"], memory["Pss"])
    finally:
        stop(one, signal.SIGKILL)


def _loaded(folder: Path, database: Path, count: int, pace: Pace) -> Row:
    """After lists, filters and gets of all kinds, from many clients at once."""
    one = start(folder, *NOTHING, database=database)
    try:
        answers(one)
        _ask_all(one, count, pace)
        memory = one.memory()
    finally:
        stop(one)
    return Row(
        work=f"memory after queries from 16 clients, {count:,} stored",
        unit="MiB",
        repeats=[memory["Rss"] / MIB],
        aim=Aim(MEMORY, most=True),
        beside=[f"proportional {memory['Pss'] / MIB:.0f} MiB"],
    )


def _ask_all(one: Served, count: int, pace: Pace) -> None:
    pages = [get(f"/tasks?view=FULL&page_size=256&{query}") for query in FILTERS.values()]
    gets = [get(f"/tasks/{new_id(n)}?view=FULL") for n in range(1, count, count // 1000)]
    for requests in (pages, gets):
        one.load(16, requests, Pace(2 * pace.seconds, 1))


def _row(work: str, seconds: Sequence[float]) -> Row:
    return Row(work=work, unit="s", repeats=seconds, aim=Aim(1, most=True))


def _memory(work: str, found: Sequence[Start]) -> Row:
    return Row(
        work=work,
        unit="MiB",
        repeats=[one.rss / MIB for one in found],
        aim=Aim(MEMORY, most=True),
        beside=[f"proportional {found[-1].pss / MIB:.0f} MiB"],
    )
