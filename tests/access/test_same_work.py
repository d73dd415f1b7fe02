"""A foreign task costs the look-up of one that is not there, at both doors."""

import sqlite3
from collections.abc import Awaitable, Callable
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

from funnel.core.access import ForeignTask, TaskAccess

HTTP = (
    ("GET", ""),
    ("GET", "?view=FULL"),
    ("GET", "/logs"),
    ("GET", "/events"),
    ("POST", ":cancel"),
)
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
    assert of_foreign == await _work(ask, ABSENT, statements)
    assert of_foreign[1]


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
