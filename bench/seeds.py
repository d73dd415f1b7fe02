"""A few real tasks, run to their end by the product in real containers, for being multiplied."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.engine import IMAGE
from bench.pattern import OWN, SHARED, Pattern, pattern
from bench.served import create, served, state_of, until, wait

WORDS = ("align", "sort", "call", "merge")
LABS = 8
USUAL = 16
"""So many usual tasks, of which every eighth fails; after them come the rare ones."""
SCRIPT = "wc -l /data/*; echo '[main] 12.3 sec; CPU: 23.4 sec' >&2; md5sum /data/* >/out/aln.bam"


def seeds() -> Sequence[Pattern]:
    """Usual ones first, then one that was cancelled and one that the system could not run."""
    with served("--Local.Cpus", "4") as one, one.client() as client:
        files = one.folder / "files"
        for name in ("R1", "R2", "index"):
            (files / name).write_text("ACGT\n" * 1000)
        asked = [create(client, _task(files, n, code=int(n % 8 == 5))) for n in range(USUAL)]
        for made in asked:
            wait(client, made)
        sleeper = create(client, _task(files, 1, command=("sleep", "1000")))
        state_of(client, sleeper, until="RUNNING", wait="30s")
        client.post(f"/tasks/{sleeper}:cancel").raise_for_status()
        asked += [sleeper, create(client, _task(files / "none", 2))]
        wait(client, asked[-1])
        until(lambda: not any((one.folder / "work").glob("*/*")))
        return _patterns(one.folder / "funnel.db", asked)


def _patterns(path: Path, asked: Sequence[str]) -> Sequence[Pattern]:
    with closing(sqlite3.connect(path)) as db:
        number = "SELECT n FROM task WHERE id = ?"
        return [pattern(db, *db.execute(number, (one,)).fetchone()) for one in asked]


def _task(files: Path, n: int, *, code: int = 0, command: Sequence[str] = ()) -> Mapping[str, Any]:
    script = f"{SCRIPT}; exit {code}"
    return {
        "name": f"{WORDS[n % len(WORDS)]} sample-{OWN}",
        "description": "bwa mem, then sort",
        "inputs": [
            {"url": (files / name).as_uri(), "path": f"/data/{name}"}
            for name in ("R1", "R2", "index")
        ],
        "outputs": [{"url": (files / f"sample-{OWN}.bam").as_uri(), "path": "/out/aln.bam"}],
        "resources": {"cpu_cores": 1, "ram_gb": 1.0, "disk_gb": 10.0},
        "executors": [
            {
                "image": IMAGE,
                "command": command or ("sh", "-c", script),
                "env": {"LC_ALL": "C", "THREADS": "8"},
            }
        ],
        "tags": {
            "workflow": f"wgs-{SHARED}",
            "sample": f"s-{OWN}",
            "lab": f"lab-{n % LABS}",
        },
    }
