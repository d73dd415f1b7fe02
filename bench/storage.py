"""Files to and from an S3 server on this machine, by our command line and by other programs."""

import filecmp
import json
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        for work, unit, amount, deed in _works(folder):
            costs = _by_turns(movers, deed, pace.repeats)
            most += [one.peak / MIB for one in costs["funnel"]]
            yield _row(work, unit, amount, costs)
        yield Row(
            work="most memory of ours in all of these",
            unit="MiB",
            repeats=[max(most)],
            aim=Aim(MOST, most=True),
        )
        yield from _task(folder, settings, movers[0], pace)


Deed: TypeAlias = Callable[[Mover], Cost]


def _works(folder: Path) -> Iterator[tuple[str, str, float, Deed]]:
    """Each with its name, unit, how many of it are moved, and how."""
    large, small, back = folder / "large", folder / "small", folder / "back"

    def down(mover: Mover) -> Cost:
        cost = mover.run(mover.down, f"bench/{mover.name}/large", back)
        if not filecmp.cmp(large, back, shallow=False):
            raise RuntimeError(f"{mover.name} has brought something else")
        back.unlink()
        return cost

    def down_all(mover: Mover) -> Cost:
        back.mkdir()
        cost = mover.run(mover.down_all, f"bench/{mover.name}/small", back)
        names = [one.name for one in small.iterdir()]
        if len(filecmp.cmpfiles(small, back, names, shallow=False)[0]) != FILES:
            raise RuntimeError(f"{mover.name} has not brought all")
        shutil.rmtree(back)
        return cost

    def up(mover: Mover) -> Cost:
        return mover.run(mover.up, f"bench/{mover.name}/large", large)

    def up_all(mover: Mover) -> Cost:
        return mover.run(mover.up_all, f"bench/{mover.name}/small", small)

    def list_all(mover: Mover) -> Cost:
        return mover.run(mover.list_all, "bench/many")

    yield "1 GiB up", "MiB/s", LARGE / MIB, up
    yield "1 GiB down", "MiB/s", LARGE / MIB, down
    yield f"{FILES:,} files of 10 KiB up", "files/s", FILES, up_all
    yield f"{FILES:,} files of 10 KiB down", "files/s", FILES, down_all
    yield f"list {LISTED:,} objects", "objects/s", LISTED, list_all


def _by_turns(movers: Sequence[Mover], deed: Deed, repeats: int) -> Mapping[str, Sequence[Cost]]:
    found: dict[str, list[Cost]] = {one.name: [] for one in movers}
    for _ in range(repeats):
        for one in movers:
            found[one.name].append(deed(one))
    return found


def _row(work: str, unit: str, amount: float, costs: Mapping[str, Sequence[Cost]]) -> Row:
    rates = {name: [amount / one.seconds for one in some] for name, some in costs.items()}
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
    for name, count, size in (("small", FILES, SMALL), ("many", LISTED, 1)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number:05}").write_bytes(os.urandom(size))
