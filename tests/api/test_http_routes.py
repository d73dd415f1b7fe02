"""Paths, methods and headers, and what the server says of itself."""

import json

import httpx
import pytest
from asking import STEP, request, say
from doors import LIMITS, client, door
from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.metrics import Metrics
from funnel.ports import Database

PREFIXES = ["", "/v1", "/ga4gh/tes/v1"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_all_operations_are_under_every_prefix(http: httpx.AsyncClient, prefix: str) -> None:
    made = (await http.post(f"{prefix}/tasks", json={"executors": [STEP]})).json()["id"]
    assert (await http.get(f"{prefix}/tasks")).json()["tasks"] == [{"id": made, "state": "QUEUED"}]
    assert (await http.get(f"{prefix}/tasks/{made}")).json() == {"id": made, "state": "QUEUED"}
    assert (await http.post(f"{prefix}/tasks/{made}:cancel")).json() == {}
    assert (await http.get(f"{prefix}/service-info")).json()["type"]["artifact"] == "tes"
    assert set((await http.get(f"{prefix}/tasks/service-info")).json()) == {
        *("name", "doc", "storage"),
    }


@pytest.mark.parametrize(
    "path", ["//v1/tasks", "/v1//tasks", "///ga4gh//tes/v1///tasks", "//tasks"]
)
async def test_doubled_slashes_need_no_redirect(port: int, path: str) -> None:
    body = json.dumps({"executors": [STEP]}).encode()
    length = f"Content-Length: {len(body)}"
    made = await say(port, request("POST", path, length, body=body))
    assert made.startswith(b"HTTP/1.1 200")
    assert (await say(port, request("GET", path))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v2/tasks", "/v1", "/v1/", "/v1/tasks/", "/v1/tasks/a/", "/v1/tasks/a/b"),
        *("/v1/tasks/:cancel", "/v1/healthz", "/ga4gh/tes/v1/metrics", "/favicon.ico"),
    ],
)
async def test_other_paths_are_not_found(port: int, path: str) -> None:
    for method in ("GET", "POST", "TRACE"):
        head, _, body = (await say(port, request(method, path))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404")
        assert json.loads(body) == {
            "error": f"Not Found: nothing is at {path!r}",
            "code": "NOT_FOUND",
        }


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/tasks", "GET, HEAD, POST"),
        ("/tasks/x", "DELETE, GET, HEAD"),
        ("/ga4gh/tes/v1/tasks/x:cancel", "POST"),
        ("/service-info", "GET, HEAD"),
        ("/v1/tasks/service-info", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
async def test_other_methods_are_told_which_are_allowed(
    http: httpx.AsyncClient, path: str, allowed: str
) -> None:
    words = allowed.split(", ")
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        if method in words:
            continue
        answer = await http.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
        assert answer.json() == {
            "error": f"Method Not Allowed: {method!r}, expected one of {allowed}",
            "code": "UNIMPLEMENTED",
        }


@pytest.mark.parametrize("path", ["/v1/tasks", "/healthz", "/v1/service-info", "/v1/tasks/none"])
async def test_head_is_get_without_the_body(http: httpx.AsyncClient, path: str) -> None:
    head, full = await http.head(path), await http.get(path)
    assert head.content == b""
    assert head.status_code == full.status_code
    assert head.headers == full.headers


async def test_no_answer_is_to_be_kept(http: httpx.AsyncClient) -> None:
    for path in ("/v1/tasks", "/v1/tasks/1", "/none", "/healthz"):
        assert (await http.get(path)).headers["cache-control"] == "no-store"


async def test_keeping_answers_is_a_setting(database: Database) -> None:
    async with client(door(database, limits=replace(LIMITS, no_store=False))) as http:
        assert "cache-control" not in (await http.get("/v1/tasks")).headers


async def test_service_info_has_the_fields_of_the_specification(http: httpx.AsyncClient) -> None:
    assert (await http.get("/ga4gh/tes/v1/service-info")).json() == {
        "id": "org.example.funnel",
        "name": "Funnel",
        "type": {"group": "org.ga4gh", "artifact": "tes", "version": "1.1.0"},
        "organization": {"name": "Example", "url": "https://example.org"},
        "version": "1.2.3",
        "storage": ["file:///data"],
        "tesResources_backend_parameters": ["vmsize"],
        "description": "Runs tasks",
        "updatedAt": "2026-01-01T00:00:00Z",
    }


async def test_old_clients_get_the_service_info_of_their_time(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/tasks/service-info")).json() == {
        "name": "Funnel",
        "doc": "Runs tasks",
        "storage": ["file:///data"],
    }


async def test_health_is_json_with_counts_of_output(
    http: httpx.AsyncClient, metrics: Metrics
) -> None:
    for _ in range(3):
        metrics.printed(Stream.STDOUT)
    metrics.runtime_answers(yes=True)
    assert (await http.get("/healthz")).json() == {
        "status": "OK",
        "runtime_answers": True,
        "log_metrics": {
            "stderr_events_dropped": 0,
            "stdout_events_dropped": 0,
            "total_events": 3,
        },
    }


async def test_health_is_also_a_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health.html")
    assert answer.text == "OK\n"
    assert answer.headers["content-type"].startswith("text/html")
