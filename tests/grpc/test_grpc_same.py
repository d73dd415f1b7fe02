"""The same request through both doors has the same result, or the same error."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from doors import failing
from google.protobuf.json_format import ParseDict
from rpc import Both, Outcome, both_doors, over_grpc, over_http

from funnel.core import error as errors
from funnel.core.error import CannotStart, FunnelError
from funnel.core.event import Batch, StateChanged
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH
from funnel.wire.gen import tes_pb2 as pb

STEP = {"image": "alpine", "command": ["true"]}
WHOLE: dict[str, Any] = {
    "name": "whole",
    "description": "ü",
    "executors": [
        {**STEP, "env": {"B": "2", "A": ""}, "stdin": "/i", "stdout": "/o/1", "stderr": "/o/2"},
        {"image": "busybox", "command": ["a", "b"], "workdir": "/w", "ignore_error": True},
    ],
    "inputs": [
        {"path": "/i", "url": "s3://b/i", "name": "n", "description": "d", "streamable": True},
        {"path": "/d", "url": "s3://b/d", "type": "DIRECTORY"},
        {"path": "/c", "content": "text"},
    ],
    "outputs": [
        {"path": "/o/*", "path_prefix": "/o", "url": "s3://b/o", "type": "DIRECTORY"},
        {"path": "/p", "url": "s3://b/p", "name": "n", "description": "d"},
    ],
    "resources": {
        "cpu_cores": 2,
        "ram_gb": 1.5,
        "disk_gb": 3.0,
        "preemptible": True,
        "zones": ["z"],
        "backend_parameters": {"VmSize": "large"},
        "backend_parameters_strict": True,
    },
    "volumes": ["/v"],
    "tags": {"foo": "bar", "empty": ""},
}


@pytest.fixture
async def both(database: Database) -> AsyncGenerator[Both]:
    async with both_doors(database) as opened:
        yield opened


async def created(both: Both, task: Mapping[str, Any], *keys: str) -> tuple[Outcome, Outcome]:
    headers = [("Idempotency-Key", key) for key in keys]
    message = ParseDict(dict(task), pb.Task(), ignore_unknown_fields=True)
    metadata = tuple((name.lower(), value) for name, value in headers)
    return (
        over_http(await both.http.post("/v1/tasks", json=task, headers=headers)),
        await over_grpc(both.tes.CreateTask(message, metadata=metadata)),
    )


async def shown(both: Both, task_id: str, view: str = "FULL") -> tuple[Outcome, Outcome]:
    request = pb.GetTaskRequest(id=task_id, view=view)
    return (
        over_http(await both.http.get(f"/v1/tasks/{task_id}", params={"view": view})),
        await over_grpc(both.tes.GetTask(request)),
    )


async def listed(both: Both, **asked: Any) -> tuple[Outcome, Outcome]:
    return (
        over_http(await both.http.get("/v1/tasks", params=asked)),
        await over_grpc(both.tes.ListTasks(pb.ListTasksRequest(**asked))),
    )


async def canceled(both: Both, one: str, other: str) -> tuple[Outcome, Outcome]:
    return (
        over_http(await both.http.post(f"/v1/tasks/{one}:cancel")),
        await over_grpc(both.tes.CancelTask(pb.CancelTaskRequest(id=other))),
    )


@pytest.mark.parametrize("task", [{"executors": [STEP]}, WHOLE])
async def test_what_is_created_through_one_door_is_what_the_other_would_have_made(
    both: Both, task: Mapping[str, Any]
) -> None:
    made = [outcome.result["id"] for outcome in await created(both, task)]
    seen = [await shown(both, one) for one in made]
    for one, other in seen:
        assert one == other
        assert one.code == "OK"
    first, second = (outcome.result for outcome, _ in seen)
    assert {**first, "id": ""} == {**second, "id": ""}


WRONG: list[dict[str, Any]] = [
    {},
    {"executors": [{}]},
    {"executors": [{"image": "A b", "command": ["x"], "workdir": "w", "env": {"A=": ""}}]},
    {"executors": [{"image": "a", "command": ["b\0"], "stdin": "x"}]},
    {"executors": [STEP], "inputs": [{}, {"path": "x", "url": "u", "content": "c"}]},
    {"executors": [STEP], "outputs": [{}, {"path": "/../x", "url": "u"}]},
    {"executors": [STEP], "inputs": [{"path": "/a", "url": "file:///a", "type": 7}]},
    {"executors": [STEP], "outputs": [{"path": "/a", "url": "file:///a", "type": 2}]},
    {"executors": [STEP], "volumes": ["v"], "tags": {"": "x"}},
    {"executors": [STEP], "resources": {"cpu_cores": -1, "ram_gb": -2.5}},
    {
        "executors": [STEP],
        "resources": {"backend_parameters": {"x": "1"}, "backend_parameters_strict": True},
    },
    {"executors": [STEP], "resources": {"backend_parameters": {"max_attempts": "many"}}},
]


@pytest.mark.parametrize("task", WRONG)
async def test_a_task_that_is_wrong_is_refused_alike(both: Both, task: Mapping[str, Any]) -> None:
    one, other = await created(both, task)
    assert one == other
    assert one.code == "INVALID_ARGUMENT"


async def test_a_key_is_the_same_at_both_doors(both: Both) -> None:
    one, other = await created(both, {"executors": [STEP]}, "key")
    assert one == other
    assert one.code == "OK"
    one, other = await created(both, {"executors": [STEP], "name": "another"}, "key")
    assert one == other
    assert one.code == "ALREADY_EXISTS"


@pytest.mark.parametrize("keys", [("",), ("a", "b"), ("k" * 256,)])
async def test_a_key_that_says_nothing_is_refused_alike(both: Both, keys: tuple[str, ...]) -> None:
    one, other = await created(both, {"executors": [STEP]}, *keys)
    assert one == other
    assert one.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("view", ["", "MINIMAL", "BASIC", "FULL"])
async def test_each_view_shows_the_same(both: Both, view: str) -> None:
    for made in await created(both, WHOLE):
        one, other = await shown(both, made.result["id"], view)
        assert one == other
        assert one.code == "OK"
    one, other = await listed(both, view=view)
    assert one == other
    assert len(one.result["tasks"]) == 2


async def test_what_is_not_there_or_no_view_is_the_same_error(both: Both) -> None:
    made = (await created(both, WHOLE))[0].result["id"]
    for task_id, view, code in (
        ("none", "FULL", "NOT_FOUND"),
        (made, "full", "INVALID_ARGUMENT"),
        ("none", "XYZ", "INVALID_ARGUMENT"),
    ):
        one, other = await shown(both, task_id, view)
        assert one == other
        assert one.code == code


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"name_prefix": "wh"}, "OK"),
        ({"name_prefix": "x"}, "OK"),
        ({"state": 1}, "OK"),
        ({"state": 5}, "OK"),
        ({"state": 0}, "OK"),
        ({"tag_key": ["foo"], "tag_value": ["bar"]}, "OK"),
        ({"tag_key": ["foo", "empty"], "tag_value": ["bar"]}, "OK"),
        ({"tag_key": ["foo"], "tag_value": ["bar", "more"]}, "OK"),
        ({"tag_key": ["foo", "foo"], "tag_value": ["x", "bar"]}, "OK"),
        ({"page_size": 1}, "OK"),
        ({"page_size": -5}, "OK"),
        ({"page_size": 100_000}, "OK"),
        ({"view": "BASIC", "page_size": 1}, "OK"),
        ({"state": 42}, "INVALID_ARGUMENT"),
        ({"state": -1}, "INVALID_ARGUMENT"),
        ({"view": "SOME", "state": 99}, "INVALID_ARGUMENT"),
        ({"page_token": "~"}, "INVALID_ARGUMENT"),
    ],
)
async def test_every_filter_asks_for_the_same(
    both: Both, asked: Mapping[str, Any], code: str
) -> None:
    await created(both, WHOLE)
    await created(both, {"executors": [STEP]})
    one, other = await listed(both, **asked)
    assert one == other
    assert one.code == code


async def test_a_page_of_one_door_goes_on_at_the_other(both: Both) -> None:
    for _ in range(2):
        await created(both, WHOLE)
    (over_http_, over_grpc_) = await listed(both, page_size=3)
    token = over_grpc_.result["next_page_token"]
    assert token == over_http_.result["next_page_token"]
    one, other = await listed(both, page_token=token)
    assert one == other
    assert len(one.result["tasks"]) == 1


async def test_a_task_is_canceled_alike_whether_it_goes_on_or_not(
    both: Both, database: Database
) -> None:
    one, other = (made.result["id"] for made in await created(both, WHOLE))
    for _ in range(2):
        assert await canceled(both, one, other) == (Outcome("OK", result={}),) * 2
    assert (await shown(both, one))[1].result["state"] == "CANCELED"
    assert (await shown(both, other))[0].result["state"] == "CANCELED"
    ended = TaskId((await created(both, WHOLE))[0].result["id"])
    done = StateChanged(ended, EPOCH, State.COMPLETE)
    await database.append(Batch(task_id=ended, events=(done,)))
    assert await canceled(both, ended, ended) == (Outcome("OK", result={}),) * 2
    assert (await shown(both, ended))[1].result["state"] == "COMPLETE"
    one, other = await canceled(both, "none", "none")
    assert one == other
    assert one.code == "NOT_FOUND"


async def test_the_server_says_the_same_of_itself(both: Both) -> None:
    one = over_http(await both.http.get("/v1/service-info"))
    assert one == await over_grpc(both.tes.GetServiceInfo(pb.GetServiceInfoRequest()))
    assert one.result["updatedAt"] == "2026-01-01T00:00:00Z"


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FunnelError) and kind is not CannotStart
]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_error_is_the_same_for_each_operation(
    kind: type[FunnelError],
) -> None:
    error = kind("something about ü\nin two lines")
    async with both_doors(failing(error)) as both:
        for one, other in (
            await created(both, {"executors": [STEP]}),
            await shown(both, "x"),
            await listed(both),
            await canceled(both, "x", "x"),
        ):
            assert one == other
            assert one.text == str(error)
            assert one.code != "OK"
