"""What clients are told when something is wrong with the request or with us."""

import asyncio
import logging

import httpx
import pytest
from asking import STEP, create
from doors import LIMITS, client, door, failing, stuck
from msgspec.structs import replace

from funnel.api.errors import STATUS, status_of
from funnel.core import error as errors
from funnel.core.error import (
    Busy,
    Conflict,
    Denied,
    FunnelError,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (Invalid("x"), 400, "INVALID_ARGUMENT", None),
        (Denied(), 403, "PERMISSION_DENIED", None),
        (NotFound("x"), 404, "NOT_FOUND", None),
        (Conflict(), 409, "ALREADY_EXISTS", None),
        (TooLarge(), 413, "RESOURCE_EXHAUSTED", None),
        (Busy(), 429, "RESOURCE_EXHAUSTED", "1"),
        (Unavailable("the disk is full"), 503, "UNAVAILABLE", "5"),
        (FunnelError(), 500, "INTERNAL", None),
    ],
)
async def test_each_error_has_its_status_and_its_text(
    error: FunnelError, status: int, code: str, retry: str | None
) -> None:
    async with client(door(failing(error))) as http:
        for answer in (
            await http.post("/v1/tasks", json={"executors": [STEP]}),
            await http.get("/v1/tasks"),
            await http.get("/v1/tasks/x"),
            await http.post("/v1/tasks/x:cancel"),
        ):
            assert answer.status_code == status
            assert answer.json() == {"error": str(error), "code": code}
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers.get("retry-after") == retry


async def test_a_mistake_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    broken = failing(RuntimeError("password in /etc/secret"))
    caplog.set_level(logging.ERROR)
    async with client(door(broken)) as http:
        answer = await http.get("/v1/tasks")
    name = answer.headers["x-request-id"]
    assert answer.status_code == 500
    assert answer.json() == {
        "error": f"internal error: the server's log has more under request {name}",
        "code": "INTERNAL",
    }
    assert name in caplog.text
    assert "password in /etc/secret" in caplog.text


async def test_every_error_of_ours_has_a_status() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, FunnelError)
    ]
    for kind in kinds:
        made = kind("x", 126) if kind is errors.CannotStart else kind("x")
        assert status_of(made)[0] in {status for status, _ in STATUS.values()}


async def test_an_answer_that_is_not_found_in_time_is_given_up() -> None:
    async with client(door(stuck(), limits=replace(LIMITS, answer_seconds=0.01))) as http:
        answer = await http.get("/v1/tasks")
    assert answer.status_code == 503
    assert answer.json()["code"] == "UNAVAILABLE"
    assert answer.headers["retry-after"] == "5"


async def test_a_body_has_a_limit(http: httpx.AsyncClient) -> None:
    task = b'{"executors": [{"image": "a", "command": ["b"]}]}'
    most = LIMITS.body
    assert (await http.post("/v1/tasks", content=task.ljust(most))).status_code == 200
    answer = await http.post("/v1/tasks", content=task.ljust(most + 1))
    assert answer.status_code == 413
    assert answer.json() == {
        "error": "the body is larger than 65536 bytes",
        "code": "RESOURCE_EXHAUSTED",
    }


async def test_a_body_of_unsaid_length_has_the_same_limit(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LIMITS.body // 1024 + 1):
        writer.write(b"400\r\n%b\r\n" % (b" " * 1024))
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"name": "a", "name": "b"}',
        b'{"name": NaN}',
        b'{"resources": {"cpu_cores": ' + b"9" * 10_000 + b"}}",
        b'{"resources": {"ram_gb": 1e999}, "executors": [{"image": "a", "command": ["b"]}]}',
        b'{"name": "\\ud800"}',
        b'{"executors": [{"image": "a", "command": ["b\\u0000"]}]}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"executors": [{"image": "a", "command": ["b"], "env": {"A=": ""}}]}',
        b'{"executors": [{"image": "A", "command": ["b"]}]}',
        b'{"executors": [{"image": "a", "command": ["b"]}], "volumes": ["/../x"]}',
    ],
)
async def test_whatever_is_sent_is_refused_kindly(http: httpx.AsyncClient, sent: bytes) -> None:
    answer = await http.post("/v1/tasks", content=sent)
    assert answer.status_code == 400
    assert answer.json()["code"] == "INVALID_ARGUMENT"
    assert answer.json()["error"]


async def test_content_and_url_together_are_refused(http: httpx.AsyncClient) -> None:
    inputs = [{"path": "/a", "content": "x", "url": "file:///x"}]
    answer = await http.post("/v1/tasks", json={"executors": [STEP], "inputs": inputs})
    assert answer.status_code == 400
    assert "Task.Inputs[0].Content" in answer.json()["error"]
    assert answer.json()["problems"] == [
        {"field": "inputs[0].content", "message": "must be empty when Url is non-empty"}
    ]


async def test_metrics_are_served_even_if_tasks_cannot_be_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client(door(failing(Unavailable()))) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "tasks could not be counted" in caplog.text


async def test_after_refusals_the_door_goes_on(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/tasks", content=b"{")).status_code == 400
    made = await create(http)
    assert (await http.get(f"/v1/tasks/{made}")).status_code == 200
