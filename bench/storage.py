"""Files to and from an S3 server on this machine, by our command line and by other programs."""

import filecmp
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from bench.engine import IMAGE
from bench.measure import Aim, Pace, Row, timed
from bench.movers import USER, Cost, Mover, others, ours
from bench.served import MIB, run, scratch, served
from bench.servers import running

PORTS: Final = 9
LARGE: Final = 1 << 30
FILES: Final = 1000
SMALL: Final = 10 << 10
LISTED: Final = 10_000
INPUT: Final = 2 << 30
MOST: Final = 200
"""MiB of memory that ours may take."""


def storage(pace: Pace) -> Iterator[Row]:
    with scratch() as folder, running("store.sh", "s3", folder, PORTS) as address:
        settings = _settings(folder, f"http://{address}")
        movers = [ours(settings), *others(f"http://{address}")]
        _make(folder)
        movers[0].run(movers[0].up_all, "bench/many", folder / "many")
        most = list[float]()
        for row, costs in _moved(Moving(folder, movers, pace.repeats)):
            most += [one.peak / MIB for one in costs["funnel"]]
            yield row
        yield Row(
            work="most memory of ours in all of these",
            unit="MiB",
            repeats=[max(most)],
            aim=Aim(MOST, most=True),
        )
        yield from _task(folder, settings, movers[0], pace)


Costs: TypeAlias = Mapping[str, Sequence[Cost]]
Rates: TypeAlias = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Moving:
    """What each of the `movers` does by turns with the files of the `folder`."""

    folder: Path
    movers: Sequence[Mover]
    repeats: int

    def up(self, name: str) -> Costs:
        local = self.folder / name
        return self._by_turns(
            lambda mover: mover.run(
                mover.up_all if local.is_dir() else mover.up, f"bench/{mover.name}/{name}", local
            )
        )

    def down(self, name: str) -> Costs:
        """Each to a place of its own: the kernel looks long for what was only just removed."""
        local, places = self.folder / name, self.folder / "back"
        places.mkdir()
        # Or the disk writes meanwhile what was stored before.
        os.sync()

        def down(mover: Mover) -> Cost:
            back, url = places / str(time.monotonic_ns()), f"bench/{mover.name}/{name}"
            if not local.is_dir():
                cost = mover.run(mover.down, url, back)
                same = filecmp.cmp(local, back, shallow=False)
                back.unlink()
            else:
                back.mkdir()
                cost = mover.run(mover.down_all, url, back)
                names = [one.name for one in local.iterdir()]
                same = filecmp.cmpfiles(local, back, names, shallow=False)[0] == names
            if not same:
                raise RuntimeError(f"{mover.name} has brought something else")
            return cost

        if not local.is_dir():
            # Writing to memory that nobody has touched yet takes a virtual machine far longer.
            replace(self, repeats=1)._by_turns(down)
        costs = self._by_turns(down)
        shutil.rmtree(places)
        return costs

    def listed(self, name: str) -> Costs:
        return self._by_turns(lambda mover: mover.run(mover.list_all, f"bench/{name}"))

    def _by_turns(self, deed: Callable[[Mover], Cost]) -> Costs:
        found: dict[str, list[Cost]] = {one.name: [] for one in self.movers}
        for _ in range(self.repeats):
            for one in self.movers:
                found[one.name].append(deed(one))
        return found


def _moved(moving: Moving) -> Iterator[tuple[Row, Costs]]:
    for way, move in (("up", moving.up), ("down", moving.down)):
        large = move("large")
        yield _row(f"1 GiB {way}", "MiB/s", _rates(large, LARGE / MIB), large), large
    for way, move in (("up", moving.up), ("down", moving.down)):
        small = move("small")
        yield (
            _row(f"{FILES:,} files of 10 KiB {way}", "files/s", _rates(small, FILES), small),
            small,
        )
        # Without the start of the program, which a worker has once.
        further = _further(move("one"), small)
        yield _row(f"the same {way}, each after the first", "files/s", further, small), small
    listed = moving.listed("many")
    yield _row(f"list {LISTED:,} objects", "objects/s", _rates(listed, LISTED), listed), listed


def _rates(costs: Costs, amount: float) -> Rates:
    return {name: [amount / one.seconds for one in some] for name, some in costs.items()}


def _further(alone: Costs, together: Costs) -> Rates:
    """Of files, where it is known what one alone takes."""
    first = {name: statistics.median(one.seconds for one in alone[name]) for name in alone}
    return {
        name: [(FILES - 1) / max(one.seconds - first[name], 1e-3) for one in some]
        for name, some in together.items()
    }


def _row(work: str, unit: str, rates: Rates, costs: Costs) -> Row:
    best = max((statistics.median(rates[name]) for name in rates if name != "funnel"), default=0)
    return Row(
        work=work,
        unit=unit,
        repeats=rates["funnel"],
        aim=Aim(best) if best else None,
        beside=[_told(name, statistics.median(rates[name]), costs[name]) for name in rates],
    )


def _told(name: str, rate: float, costs: Sequence[Cost]) -> str:
    cpu = statistics.median(one.cpu for one in costs)
    return (
        f"{name} {rate:,.0f}, {cpu:.2f} s of processor, {max(x.peak for x in costs) / MIB:.0f} MiB"
    )


def _task(folder: Path, settings: Path, mover: Mover, pace: Pace) -> Iterator[Row]:
    """From create to its end, with all of the worker."""
    large = folder / "input"
    large.touch()
    os.truncate(large, INPUT)
    mover.run(mover.up, "bench/input", large)
    small = f"s3://bench/{mover.name}/small"
    task = {
        "inputs": [
            {"url": "s3://bench/input", "path": "/in/large"},
            {"url": small, "path": "/in/small", "type": "DIRECTORY"},
        ],
        "executors": [
            {"image": IMAGE, "command": ["sh", "-c", f"test $(ls /in/small | wc -l) = {FILES}"]}
        ],
    }
    with served("-c", str(settings)) as one, one.client() as client:
        before, cpu, peaks = one.memory()["Rss"], one.cpu(), list[float]()

        def whole() -> None:
            one.forget_peak()
            run(client, task)
            peaks.append((one.peak() - before) / MIB)

        seconds = [timed(whole) for _ in range(pace.repeats)]
        spent = (one.cpu() - cpu) / pace.repeats
    yield Row(
        work=f"task with {FILES:,} inputs of 10 KiB and one of 2 GiB",
        unit="s",
        repeats=seconds,
        beside=[f"{spent:.1f} s of the server's processor"],
    )
    yield Row(
        work="the same, memory above that at rest",
        unit="MiB",
        repeats=peaks,
        aim=Aim(MOST, most=True),
    )


def _settings(folder: Path, endpoint: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(
        json.dumps({"GenericS3": [{"Endpoint": endpoint, "Key": USER[0], "Secret": USER[1]}]})
    )
    return path


def _make(folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        for _ in range(LARGE // MIB):
            file.write(os.urandom(MIB))
    for name, count, size in (("one", 1, SMALL), ("small", FILES, SMALL), ("many", LISTED, 1)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number:05}").write_bytes(os.urandom(size))
