"""Looking at what a stopped server has left: its database, the engine, and the files."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from checker import Evidence, Kept, Mark

from funnel.core.container import LABEL_DEPLOYMENT
from funnel.core.event import Logged
from funnel.core.task import TaskId
from funnel.database.folded import read_progress
from funnel.database.packed import Whose, read

redis: Any = import_module("redis")
EVENTS = "SELECT seq, CAST(body AS BLOB) FROM event WHERE n = ? ORDER BY position"
TASKS = "SELECT n, id, owner, queue, state, active, CAST(progress AS BLOB) FROM task"


def of_database(path: Path) -> dict[str, Any]:
    """A copy is read, so that nothing of the evidence is changed."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for end in ("", "-wal"):
            if (file := path.with_name(path.name + end)).exists():
                shutil.copy(file, f"{copy}{end}")
        with closing(sqlite3.connect(copy)) as db:
            return {
                "tasks": dict(_tasks(db)),
                "keys": dict(db.execute("SELECT key, task_id FROM idempotency")),
                "outbox": tuple(work for (work,) in db.execute("SELECT work FROM outbox")),
                "integrity": db.execute("PRAGMA integrity_check").fetchone()[0],
            }


def _tasks(db: sqlite3.Connection) -> Iterator[tuple[TaskId, Kept]]:
    tasks = db.execute(TASKS).fetchall()
    for n, task_id, owner, queue, state, active, progress in tasks:
        rows = db.execute(EVENTS, (n,))
        whose = Whose(task_id, owner, queue)
        printed = db.execute("SELECT count(*) FROM output WHERE n = ?", (n,)).fetchone()[0]
        yield (
            task_id,
            Kept(
                state=state,
                active=bool(active),
                progress=read_progress(progress),
                events=tuple(
                    told for seq, body in rows.fetchall() for told in read(whose, seq, body)
                ),
                printed=bool(printed),
            ),
        )


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def containers(deployment: str) -> tuple[str, ...]:
    """The names of all that have the label of this deployment, running or not."""
    return tuple(_listed(f"label={LABEL_DEPLOYMENT}={deployment}"))


def running_now(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) & frozenset(_listed("status=running"))


def _listed(which: str) -> list[str]:
    return docker("ps", "--all", "--format", "{{.Names}}", "--filter", which).split()


def witness(folder: Path) -> Mapping[str, tuple[Mark, ...]]:
    """Each container appends its lines to the file of its task."""
    return {
        file.name: tuple(_mark(line) for line in file.read_text().splitlines())
        for file in folder.iterdir()
    }


def _mark(line: str) -> Mark:
    executor, what = line.split()
    return Mark(int(executor), what)


def gathered(home: Path, deployment: str, **known: Any) -> Evidence:
    """The evidence of a deployment whose server has been stopped."""
    work = home / "work"
    return Evidence(
        **of_database(home / "funnel.db"),
        containers=containers(deployment),
        workplaces=tuple(str(one.relative_to(work)) for one in sorted(work.rglob("*"))),
        files={
            str(one.relative_to(home / "files")): one.read_text()
            for one in (home / "files").rglob("*")
            if one.is_file()
        },
        witness=witness(home / "witness"),
        **known,
    )


def told(address: str) -> Mapping[TaskId, Sequence[str]]:
    """What Redis has heard of each task, by the keys of the messages, in order."""
    found: dict[TaskId, list[str]] = {}
    with redis.Redis.from_url(f"redis://:testing@{address}/0", decode_responses=True) as client:
        for _, entry in client.xrange("funnel"):
            found.setdefault(TaskId(entry["task"]), []).append(entry["event"])
    return found


def system_errors(evidence: Evidence) -> list[str]:
    """Why tasks ended for which nobody but the system is to blame."""
    return [
        one.fields["error"]
        for kept in evidence.tasks.values()
        for _, one in kept.events
        if isinstance(one, Logged) and one.message == "System error"
    ]
