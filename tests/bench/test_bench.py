"""The measurements measure, and what judges a soak is not easily pleased."""

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench.bare import bare_creates
from bench.door import NOTHING
from bench.measure import Aim, Row
from bench.samples import Sample, judged
from bench.served import create, served
from bench.task import TASK

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
ROW = 'INSERT INTO "'
"""Begins each that is dumped."""


def samples(rss: Callable[[int], float], files: Callable[[int], int]) -> list[Sample]:
    """Every other second of twelve minutes."""
    return [
        Sample(at=at, life=2, rss=round(rss(at)), files=files(at), threads=9, log=4 * MIB)
        for at in range(0, 720, 2)
    ]


def rows(path: Path) -> Counter[str]:
    """Of each table."""
    with closing(sqlite3.connect(path)) as db:
        return Counter(one.split('"')[1] for one in db.iterdump() if one.startswith(ROW))


def verdicts(rss: Callable[[int], float], files: Callable[[int], int]) -> dict[str, str]:
    return {row.work: row.verdict for row in judged(samples(rss, files), since=240)}


@pytest.mark.parametrize(
    ("parts", "works"),
    [
        (
            ("generator", "creates", "gets"),
            ("load generator alone", "bare SQLite, 64", "create, 64 clients", "get FULL"),
        ),
        (("grpc",), ("create over HTTP", "create over gRPC", "get FULL over gRPC")),
    ],
)
def test_parts_are_measured_against_a_real_server(
    parts: tuple[str, ...], works: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--seconds", "0.2", "--repeats", "1", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for work in works:
        assert work in done.stdout
    assert "WERE NOT 200" not in done.stdout


def test_the_yardstick_writes_what_a_create_writes(tmp_path: Path) -> None:
    with served(*NOTHING) as one, one.client() as client:
        create(client, TASK)
        ours = rows(one.folder / "funnel.db")
    assert bare_creates(tmp_path, 64, 0.1) > 0
    (path,) = tmp_path.glob("*.db")
    theirs = rows(path)
    assert ours["task"] == 1
    assert (tasks := theirs["task"]) > 64
    for table in {*ours, *theirs} - {"sqlite_sequence"}:
        assert theirs[table] == ours[table] * tasks


def test_a_server_that_stays_level_is_let_pass() -> None:
    """What comes and goes is no growth, nor is what fills while it is warming up."""
    found = verdicts(
        lambda at: 50 * MIB + min(at, 200) * MIB / 10 + (at % 14) * MIB / 10,
        lambda at: 40 + at // 2 % 7,
    )
    assert set(found.values()) == {"met"}


def test_a_leak_of_memory_or_descriptors_is_seen() -> None:
    found = verdicts(lambda at: (50 + at / 100) * MIB, lambda at: 40 + at // 60)
    assert found["growth of memory"] == "missed"
    assert found["growth of file descriptors"] == "missed"
    assert found["growth of threads"] == "met"


@pytest.mark.parametrize(
    ("aim", "verdict"), [(Aim(2), "met"), (Aim(3), "missed"), (Aim(1, most=True), "missed")]
)
def test_the_median_is_judged(aim: Aim, verdict: str) -> None:
    assert Row(work="", unit="/s", repeats=[1, 9, 2], aim=aim).verdict == verdict
