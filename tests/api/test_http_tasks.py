"""Creating, getting, cancelling and deleting tasks over HTTP."""

import json
from typing import Any

import httpx
import pytest
from asking import STEP, create, get, listed

from funnel.core.access import Caller
from funnel.core.container import Stream
from funnel.core.event import (
    Batch,
    Change,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    OutputsStored,
    Printed,
    StateChanged,
)
from funnel.core.state import State
from funnel.core.task import OutputFileLog, TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH

WHOLE: dict[str, Any] = {
    "name": "n",
    "description": "d",
    "executors": [
        {"image": "alpine", "command": ["a", "b"], "stdout": "/o", "env": {"A": "b"}},
        {"image": "busybox", "command": ["c"], "ignore_error": True},
    ],
    "inputs": [
        {"path": "/i", "url": "s3://b/i", "type": "FILE"},
        {"path": "/c", "content": "secret", "type": "FILE"},
    ],
    "outputs": [{"path": "/o", "url": "s3://b/o", "type": "FILE"}],
    "resources": {"cpu_cores": 2, "ram_gb": 1.5, "backend_parameters": {"VmSize": "x"}},
    "volumes": ["/v"],
    "tags": {"foo": "bar", "empty": ""},
}


async def run(database: Database, name: str) -> None:
    """The life of an attempt, as a worker tells it."""
    task_id = TaskId(name)
    stored = (OutputFileLog(url="s3://b/o", path="/o", size_bytes="3"),)
    events: tuple[Change, ...] = (
        StateChanged(task_id, EPOCH, State.RUNNING),
        ExecutorStarted(task_id, EPOCH, 0),
        Printed(task_id, EPOCH, 0, Stream.STDOUT, 0, 6, "hello\n", 1000),
        ExecutorExited(task_id, EPOCH, 0, 0),
        ExecutorStarted(task_id, EPOCH, 1),
        Logged(task_id, EPOCH, "all is well"),
        OutputsStored(task_id, EPOCH, stored),
    )
    await database.append(Batch(task_id=task_id, events=events))


async def test_a_task_is_created_and_read_back_whole(http: httpx.AsyncClient) -> None:
    made = await create(http, **WHOLE)
    task = await get(http, made)
    assert task.pop("id") == made
    assert task.pop("state") == "QUEUED"
    assert task.pop("logs") == [{"logs": [], "outputs": []}]
    assert task.pop("creation_time") == "2026-01-01T00:00:00Z"
    assert task == WHOLE


async def test_minimal_is_the_default_view_and_has_two_fields(http: httpx.AsyncClient) -> None:
    made = await create(http, **WHOLE)
    minimal = {"id": made, "state": "QUEUED"}
    for query in ("", "?view=", "?view=MINIMAL", "?something=else"):
        assert (await http.get(f"/v1/tasks/{made}{query}")).json() == minimal
        assert (await http.get(f"/v1/tasks{query}")).json() == {"tasks": [minimal]}


async def test_basic_leaves_out_contents_and_logs_but_not_paths(
    http: httpx.AsyncClient, database: Database
) -> None:
    made = await create(http, **WHOLE)
    await run(database, made)
    task = await get(http, made, "BASIC")
    assert task["inputs"][1] == {"path": "/c", "type": "FILE"}
    assert task["executors"] == WHOLE["executors"]
    assert task["logs"] == [
        {
            "logs": [
                {
                    "start_time": "2026-01-01T00:00:00Z",
                    "end_time": "2026-01-01T00:00:00Z",
                    "exit_code": 0,
                },
                {"start_time": "2026-01-01T00:00:00Z", "exit_code": -1},
            ],
            "outputs": [{"url": "s3://b/o", "path": "/o", "size_bytes": "3"}],
            "start_time": "2026-01-01T00:00:00Z",
        }
    ]


async def test_full_has_everything(http: httpx.AsyncClient, database: Database) -> None:
    made = await create(http, **WHOLE)
    await run(database, made)
    task = await get(http, made, "FULL")
    assert task["inputs"][1]["content"] == "secret"
    assert task["logs"][0]["logs"][0]["stdout"] == "hello\n"
    assert "stdout" not in task["logs"][0]["logs"][1]
    assert "msg='all is well'" in task["logs"][0]["system_logs"][0]


async def test_every_view_of_a_list_is_that_of_its_tasks(
    http: httpx.AsyncClient, database: Database
) -> None:
    made = [await create(http, **WHOLE) for _ in range(2)]
    await run(database, made[0])
    for view in ("MINIMAL", "BASIC", "FULL"):
        answer = (await http.get(f"/v1/tasks?view={view}")).json()
        assert answer == {"tasks": [await get(http, one, view) for one in reversed(made)]}


async def test_unknown_backend_parameters_are_left_out_and_logged(http: httpx.AsyncClient) -> None:
    made = await create(http, resources={"backend_parameters": {"VMSIZE": "x", "gone": "y"}})
    task = await get(http, made)
    assert task["resources"] == {"backend_parameters": {"VMSIZE": "x"}}
    assert (
        "level='warning' msg='backend parameter not supported'"
        in (task["logs"][0]["system_logs"][0])
    )


async def test_strict_backend_parameters_must_be_known(http: httpx.AsyncClient) -> None:
    resources = {"backend_parameters": {"INVALID": "y"}, "backend_parameters_strict": True}
    answer = await http.post("/v1/tasks", json={"executors": [STEP], "resources": resources})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "backend parameters not supported: INVALID",
        "code": "INVALID_ARGUMENT",
        "problems": [
            {
                "field": "resources.backend_parameters.INVALID",
                "message": "not supported by this backend",
            }
        ],
    }


async def test_backend_parameters_that_cannot_be_read_are_named(http: httpx.AsyncClient) -> None:
    resources = {"backend_parameters": {"Max_Attempts": "many", "retry_on": "9999"}}
    answer = await http.post("/v1/tasks", json={"executors": [STEP], "resources": resources})
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["problems"]] == [
        "resources.backend_parameters.Max_Attempts",
        "resources.backend_parameters.retry_on",
    ]
    assert "must be a whole number from 1 to 10, not 'many'" in answer.json()["error"]
    known_elsewhere = {"backend_parameters": {"timeout": "soon"}}
    assert await create(http, resources=known_elsewhere)


async def test_a_null_tag_is_dropped_and_others_are_kept(http: httpx.AsyncClient) -> None:
    kept = await create(http, tags={"a": None, "b": "c", "d": ""})
    assert (await get(http, kept))["tags"] == {"b": "c", "d": ""}
    none = await create(http, tags={"a": None})
    assert "tags" not in await get(http, none)


async def test_any_content_type_is_read_as_json(http: httpx.AsyncClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = json.dumps({"executors": [STEP]}).encode()
    assert (await http.post("/v1/tasks", content=sent, headers=form)).status_code == 200


async def test_credentials_are_ignored_while_there_are_no_accounts(http: httpx.AsyncClient) -> None:
    noise = {"Authorization": "Basic Tm9uZTpOb25l"}
    answer = await http.post("/v1/tasks", json={"executors": [STEP]}, headers=noise)
    assert answer.status_code == 200


async def test_a_key_makes_one_task_however_often_it_is_sent(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first, second = [
        await http.post("/v1/tasks", json={"executors": [STEP]}, headers=key) for _ in range(2)
    ]
    assert first.json() == second.json()
    assert await listed(http) == [first.json()["id"]]
    other = await http.post("/v1/tasks", json={"executors": [STEP], "name": "x"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "ALREADY_EXISTS")


async def test_a_key_has_a_limit(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k" * 256}
    answer = await http.post("/v1/tasks", json={"executors": [STEP]}, headers=key)
    assert answer.status_code == 400
    assert answer.json()["error"] == ("the Idempotency-Key header is longer than 255 characters")


async def test_cancel_is_seen_at_once_and_may_be_repeated(http: httpx.AsyncClient) -> None:
    made = await create(http)
    for _ in range(2):
        answer = await http.post(f"/v1/tasks/{made}:cancel", content=b"what ever")
        assert (answer.status_code, answer.json()) == (200, {})
        assert (await get(http, made, "MINIMAL"))["state"] == "CANCELED"


async def test_cancel_leaves_a_finished_task_as_it_is(
    http: httpx.AsyncClient, database: Database
) -> None:
    made = await create(http)
    done = StateChanged(TaskId(made), EPOCH, State.COMPLETE)
    await database.append(Batch(task_id=done.task_id, events=(done,)))
    answer = await http.post(f"/v1/tasks/{made}:cancel")
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await get(http, made, "MINIMAL"))["state"] == "COMPLETE"


@pytest.mark.parametrize("prefix", ["", "/v1", "/ga4gh/tes/v1"])
async def test_a_task_can_be_deleted_once_it_has_ended(
    http: httpx.AsyncClient, prefix: str
) -> None:
    made = await create(http)
    refused = await http.delete(f"{prefix}/tasks/{made}")
    assert (refused.status_code, refused.json()["code"]) == (409, "FAILED_PRECONDITION")
    assert refused.json()["error"].endswith("can be deleted; cancel it first")
    await http.post(f"{prefix}/tasks/{made}:cancel")
    answer = await http.delete(f"{prefix}/tasks/{made}")
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await http.get(f"{prefix}/tasks/{made}")).status_code == 404
    assert await listed(http) == []


async def test_only_administrators_may_delete(http: httpx.AsyncClient) -> None:
    made = await create(http)
    await http.post(f"/v1/tasks/{made}:cancel")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("funnel.api.gate.ANYONE", Caller(name="ann"))
        answer = await http.delete(f"/v1/tasks/{made}")
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert await listed(http) == [made]


@pytest.mark.parametrize("prefix", ["", "/v1", "/ga4gh/tes/v1"])
async def test_an_unknown_task_is_not_found(http: httpx.AsyncClient, prefix: str) -> None:
    for answer in (
        await http.get(f"{prefix}/tasks/nothing"),
        await http.delete(f"{prefix}/tasks/nothing"),
        await http.post(f"{prefix}/tasks/nothing:cancel"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"error": "no task nothing", "code": "NOT_FOUND"}


async def test_an_empty_task_is_told_what_it_needs(http: httpx.AsyncClient) -> None:
    for sent in (b"", b"{}", b"null"):
        answer = await http.post("/v1/tasks", content=sent)
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "invalid task message:\nTask.Executors: at least one executor is required\n",
            "code": "INVALID_ARGUMENT",
            "problems": [{"field": "executors", "message": "at least one executor is required"}],
        }


async def test_a_refused_task_is_not_kept(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/tasks", content=b'{"executors": [{"image": "a"}]}')
    assert answer.status_code == 400
    assert await listed(http) == []
