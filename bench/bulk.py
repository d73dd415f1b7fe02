"""Large files: a local input that is mounted where it is, and much output of a container."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench.engine import IMAGE, docker_logs, docker_run
from bench.measure import Aim, Pace, Row, in_turn, ratios
from bench.served import FINAL, MIB, create, run, served, state_of

INPUT = 2_000_000_000
OUTPUT = 1 << 30
LINES = 5_000_000
LINE = "hello"
READ = ("md5sum", "/in/large")
WRITE = ("head", "/dev/zero", "-c")


def input_in_place(pace: Pace) -> Iterator[Row]:
    """The file is a hole: reading it costs no disk, and a copy of it would be as large as any."""
    with served() as one, one.client() as client:
        large = one.folder / "files" / "large"
        large.touch()
        os.truncate(large, INPUT)
        copied = _most_on_disk(client, _reading(large), one.folder)
        mount = f"type=bind,source={large},target={READ[-1]},readonly"
        mine, theirs = in_turn(
            pace.repeats,
            lambda: run(client, _reading(large)),
            lambda: docker_run(*READ, flags=("--mount", mount)),
        )
    yield Row(
        work="2 GB local input, md5sum, to docker run with a bind mount",
        unit="times",
        repeats=ratios(mine, theirs),
        aim=Aim(1.05, most=True),
    )
    yield Row(
        work="2 GB local input, most of our disk that was taken for it",
        unit="MiB",
        repeats=[copied / MIB],
        aim=Aim(8, most=True),
    )


def output(pace: Pace) -> Iterator[Row]:
    """To a file of the task, stored at a URL, against the shell's redirection."""
    with served() as one, one.client() as client:
        stored = one.folder / "files" / "stored"
        redirected = one.folder / "redirected"
        run(client, _writing(stored, "1"))
        before, peaks = one.memory()["Rss"], list[float]()

        def ours() -> None:
            one.forget_peak()
            run(client, _writing(stored, str(OUTPUT)))
            peaks.append((one.peak() - before) / MIB)

        mine, theirs = in_turn(
            pace.repeats, ours, lambda: docker_run(*WRITE, str(OUTPUT), to=redirected)
        )
        if stored.stat().st_size != OUTPUT:
            raise RuntimeError(f"{stored.stat().st_size} bytes were stored of {OUTPUT}")
    yield Row(
        work="1 GiB of output, to docker run into a file",
        unit="times",
        repeats=ratios(mine, theirs),
        aim=Aim(1.05, most=True),
        beside=[f"{OUTPUT / MIB / sorted(mine)[len(mine) // 2]:.0f} MiB/s"],
    )
    yield Row(
        work="1 GiB of output, memory above that at rest",
        unit="MiB",
        repeats=peaks,
        aim=Aim(16, most=True),
    )
    yield from _lines(pace)


def _lines(pace: Pace) -> Iterator[Row]:
    """Short ones: the engine keeps each by itself, and tells each by itself."""
    command = ("sh", "-c", f"yes {LINE} | head -n {LINES}")
    with served() as one, one.client() as client:
        stored = one.folder / "files" / "stored"
        redirected = one.folder / "redirected"
        costs = list[float]()

        def ours() -> None:
            before = one.cpu()
            run(client, _storing(stored, command))
            costs.append((one.cpu() - before) / LINES * 1e6)

        mine, theirs, logs = in_turn(
            pace.repeats,
            ours,
            lambda: docker_run(*command, to=redirected),
            lambda: docker_logs(*command, to=redirected),
        )
        expected = LINES * (len(LINE) + 1)
        if stored.stat().st_size != expected:
            raise RuntimeError(f"{stored.stat().st_size} bytes were stored of {expected}")
    what = f"{LINES:,} lines of output"
    yield Row(work=f"{what}, to docker run into a file", unit="times", repeats=ratios(mine, theirs))
    yield Row(work=f"{what}, to docker logs into a file", unit="times", repeats=ratios(mine, logs))
    yield Row(work=f"{what}, processor time of a line", unit="µs", repeats=costs)


def _reading(large: Path) -> Mapping[str, Any]:
    return {
        "inputs": [{"url": large.as_uri(), "path": READ[-1]}],
        "executors": [{"image": IMAGE, "command": READ}],
    }


def _writing(stored: Path, size: str) -> Mapping[str, Any]:
    return _storing(stored, (*WRITE, size))


def _storing(stored: Path, command: Sequence[str]) -> Mapping[str, Any]:
    return {
        "outputs": [{"path": "/out/stream", "url": stored.as_uri()}],
        "executors": [{"image": IMAGE, "command": command, "stdout": "/out/stream"}],
    }


def _most_on_disk(client: httpx.Client, task: Mapping[str, Any], folder: Path) -> int:
    """Bytes below the folder while the task ran, above those before: the database has a reserve."""
    before = _used(folder)
    made, used = create(client, task), list[int]()
    while state_of(client, made) not in FINAL:
        used.append(_used(folder))
    return max(used) - before


def _used(folder: Path) -> int:
    """Bytes on disk; files may vanish meanwhile, of which `du` complains."""
    told = subprocess.run(
        ["du", "--summarize", "--block-size=1", folder],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return int(told.stdout.split()[0])
