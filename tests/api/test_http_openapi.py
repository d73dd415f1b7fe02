"""Whether our OpenAPI document tells the truth."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from asking import create, get
from doors import INFO, Promiseless
from msgspec import json

from funnel.api.about import AboutDoor, openapi
from funnel.api.errors import STATUS
from funnel.api.live import LiveDoor
from funnel.api.routes import OFFICIAL, Route
from funnel.api.settings import LIMITS
from funnel.api.tes import TaskDoor
from funnel.core.access import TaskAccess
from funnel.core.event import Batch, ExecutorExited, ExecutorStarted, Logged, OutputsStored
from funnel.core.task import OutputFileLog, TaskId
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.hub import Hub
from funnel.service.submit import Submit
from funnel.service.tasks import TaskService
from funnel.testing.build import EPOCH, new_id

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = "25"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.decode(openapi("1.2.3"))
    return found


def served(database: Database) -> dict[str, set[str]]:
    about = AboutDoor(INFO, database, Metrics())
    submit = Submit(database, Promiseless(), new_id=new_id, now=lambda: EPOCH)
    service = TaskService(submit, database, TaskAccess.ALL)
    live = LiveDoor(service, database, Hub(database))
    tasks = TaskDoor(service, LIMITS, live)
    tes: list[Route] = [
        *about.tes_routes().values(),
        *tasks.routes().values(),
        *live.routes().values(),
    ]
    return {
        **{OFFICIAL + route.template: set(route.methods) for route in tes},
        **{route.template: set(route.methods) for route in about.own_routes().values()},
    }


async def test_every_route_is_described_and_no_other(
    database: Database, document: dict[str, Any]
) -> None:
    described = {
        path: {method.upper() for method in operations}
        for path, operations in document["paths"].items()
    }
    assert described == served(database)


def test_every_error_is_described(document: dict[str, Any]) -> None:
    operations = [one for path in document["paths"].values() for one in path.values()]
    described = {int(status) for one in operations for status in one["responses"]}
    assert described == {200, 204, 405} | {status for status, _ in STATUS.values()}
    codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert {code for status, code in STATUS.values() if status != 409} <= set(codes)


async def test_the_document_is_served_with_the_version_of_the_program(
    http: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    answer = await http.get("/openapi.json")
    assert answer.json() == document
    assert document["info"]["version"] == "1.2.3"


@pytest.mark.parametrize("view", ["MINIMAL", "BASIC", "FULL"])
async def test_tasks_that_ran_fit_the_schema(
    http: httpx.AsyncClient, database: Database, document: dict[str, Any], view: str
) -> None:
    made = TaskId(await create(http, inputs=[{"path": "/i", "content": "x"}], tags={"a": "b"}))
    stored = OutputFileLog(url="file:///o", path="/o", size_bytes="3")
    events = (
        ExecutorStarted(made, EPOCH, 0),
        ExecutorExited(made, EPOCH, 0, 1),
        ExecutorStarted(made, EPOCH, 1),
        Logged(made, EPOCH, "said"),
        OutputsStored(made, EPOCH, (stored,)),
    )
    await database.append(Batch(task_id=made, events=events))
    schema = {**document, "$ref": "#/components/schemas/Task"}
    jsonschema_rs.validate(schema, await get(http, made, view))


@pytest.mark.timeout(180)
async def test_schemathesis_finds_nothing(port: int) -> None:
    argv = (
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run"),
        # All checks are on by default; asked for by name, they would be on where CONFIG says off.
        *(f"http://127.0.0.1:{port}/openapi.json", "--no-color", "--seed=1"),
        *(f"--max-time={SECONDS}", "--generation-database=none"),
    )
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-5000:]
