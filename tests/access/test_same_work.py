"""A foreign task costs the look-up of one that is not there, at both doors."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asked import answer_of_http
from called import code_of_grpc
from doors import client
from doors import door as http_door
from everybody import ABSENT, Known, known
from rpc import channel
from rpc import door as grpc_door

from funnel.core.access import Caller, ForeignTask, TaskAccess
from funnel.core.error import NotFound
from funnel.core.query import View
from funnel.core.task import TaskId

HTTP = (
    ("GET", ""),
    ("GET", "?view=FULL"),
    ("GET", "?wait=10s&until=COMPLETE"),
    ("GET", "/logs"),
    ("GET", "/events"),
    ("POST", ":cancel"),
)
OTHER = "no-id-that-we-make--"
"""As long as one, so that answers can be compared with all that they say."""
Ask = Callable[[str], Awaitable[object]]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the database is asked from now on, with what it is asked for."""
    seen: list[str] = []
    connect = sqlite3.connect

    def watched(*args: Any, **given: Any) -> sqlite3.Connection:
        made = connect(*args, **given)
        made.set_trace_callback(seen.append)
        return made

    monkeypatch.setattr(sqlite3, "connect", watched)
    return seen


async def _work(ask: Ask, task_id: str, statements: list[str]) -> tuple[object, list[str]]:
    """The answer, and what the database did for it."""
    before = len(statements)
    answer = await ask(task_id)
    done = [one.replace(task_id, "<id>") for one in statements[before:]]
    return str(answer).replace(task_id, "<id>"), [one for one in done if "<id>" in one]


async def _same(inside: Known, ask: Ask, statements: list[str]) -> None:
    foreign = (await inside.tasks_for("bob"))["own"]
    of_foreign = await _work(ask, foreign, statements)
    assert of_foreign[1]
    for absent in (ABSENT, OTHER):
        assert of_foreign == await _work(ask, absent, statements)


@pytest.mark.parametrize(("method", "end"), HTTP)
async def test_over_http(tmp_path: Path, statements: list[str], method: str, end: str) -> None:
    async with known(tmp_path, TaskAccess.OWNER, ForeignTask.NOT_FOUND) as inside:
        app = http_door(inside.database, callers=inside.callers, tasks=inside.tasks)
        async with client(app) as http:

            async def ask(task_id: str) -> object:
                return await answer_of_http(http, method, f"/tasks/{task_id}{end}", "alice")

            await _same(inside, ask, statements)


@pytest.mark.parametrize("method", ["GetTask", "CancelTask"])
async def test_over_grpc(tmp_path: Path, statements: list[str], method: str) -> None:
    async with known(tmp_path, TaskAccess.OWNER, ForeignTask.NOT_FOUND) as inside:
        of = grpc_door(inside.database, callers=inside.callers, tasks=inside.tasks)
        async with channel(of) as wire:

            async def ask(task_id: str) -> object:
                return await code_of_grpc(wire, f"/tes.TaskService/{method}", task_id, "alice")

            await _same(inside, ask, statements)


async def test_a_row_is_read_where_there_is_none_too(tmp_path: Path, statements: list[str]) -> None:
    """`make proof` finds by time what the index alone would tell."""
    async with known(tmp_path, TaskAccess.OWNER, ForeignTask.NOT_FOUND) as inside:
        with pytest.raises(NotFound):
            await inside.tasks.show(TaskId(ABSENT), View.FULL, Caller(name="alice"))
        (asked,) = (one for one in statements if ABSENT in one)
        with closing(sqlite3.connect(tmp_path / "funnel.db")) as db:
            plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {asked}")]
    assert "SEARCH task USING INTEGER PRIMARY KEY (rowid=?)" in plan
