"""A container that prints without end costs the server neither memory nor disk."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hostile import EFFORT
from running import FINAL, Server, until

pytestmark = pytest.mark.engine

MIB = 2**20
LINE = 1024 * EFFORT
"""MiB without an end of line."""
MEMORY = 16 * MIB
DISK = 8 * MIB
GROWTH = 128 * 1024


def status(server: Server, name: str) -> int:
    """Bytes, as the kernel counts for the server: `VmRSS` now, `VmHWM` at most."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name)) * 1024


def forget_peak(server: Server) -> int:
    """What it takes now, from which the most is counted anew."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    return status(server, "VmRSS")


def in_database(server: Server) -> int:
    """Bytes, those that are still in its log included."""
    with closing(sqlite3.connect(f"file:{server.home}/funnel.db?mode=ro", uri=True)) as db:
        pages, size = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
    return int(pages[0]) * int(size[0])


def on_disk(folder: Path) -> int:
    """What files take there, containers' and ours; some go while we look."""
    total = 0
    for one in folder.rglob("*"):
        try:
            total += one.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


@pytest.mark.timeout(120 + 120 * EFFORT)
def test_a_flood_of_output(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.run(["echo", "warm"])
    memory, database = forget_peak(server), in_database(server)
    script = f"""
        head -c {LINE * MIB} /dev/zero | tr '\\0' x
        head -c {8 * MIB} /dev/urandom
        head -c {MIB} /dev/zero
        printf '\\033[2J\\033]0;title\\007\\377\\376 \\303\\n'
        head -c {8 * MIB} /dev/urandom >&2
        echo the last bytes
    """
    task_id = server.create(["sh", "-c", script])
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, on_disk(server.home / "work"))
        return server.state(task_id) in FINAL

    until(is_over, within=100 + 100 * EFFORT)
    task = server.get(task_id)
    (log,) = task["logs"][0]["logs"]
    assert task["state"] == "COMPLETE", task
    assert log["stdout"].endswith("\x1b[2J\x1b]0;title\x07\ufffd\ufffd \ufffd\nthe last bytes\n")
    assert len(log["stdout"]) <= 10_000
    assert 1_000 < len(log["stderr"]) <= 10_000
    assert status(server, "VmHWM") - memory <= MEMORY
    assert most <= DISK
    assert in_database(server) - database <= GROWTH
