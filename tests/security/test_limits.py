"""Each limit at its last value and the next: refused with a reason, never a 500 or silence."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile import EFFORT
from running import Server

from funnel.api.settings import LIMITS, Connections

pytestmark = pytest.mark.xdist_group("limits")

MIB = 2**20
HEAD = Connections().head
STEP = {"image": "alpine", "command": ["true"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It runs nothing: what is created only has to be taken or refused."""
    server = Server(tmp_path_factory.mktemp("limits"), ("--Compute", "noop"))
    server.start()
    yield server
    server.stop()
    server.http.close()


def task(**given: Any) -> dict[str, Any]:
    return {"executors": [STEP], **given}


def step(**given: Any) -> dict[str, Any]:
    return {"executors": [{**STEP, **given}]}


def files(kind: str, count: int) -> dict[str, Any]:
    return task(**{kind: [{"path": f"/d/{n}", "url": f"/d/{n}"} for n in range(count)]})


def given(**one: Any) -> dict[str, Any]:
    return task(inputs=[{"path": "/a", "url": "/a", **one}])


TASKS: dict[str, tuple[int, Callable[[int], dict[str, Any]], str]] = {
    # limit: (its value, a task of that size, the field that is named)
    "executors": (100, lambda n: {"executors": [STEP] * n}, "executors"),
    "words": (100_000, lambda n: step(command=["a"] * n), "executors[0].command"),
    "word": (131_071, lambda n: step(command=["a" * n]), "executors[0].command[0]"),
    "letters": (65_535, lambda n: step(command=["é" * n]), "executors[0].command[0]"),
    "variables": (1_024, lambda n: step(env={f"A{i}": "" for i in range(n)}), "executors[0].env"),
    "variable": (131_069, lambda n: step(env={"A": "b" * n}), 'executors[0].env["A"]'),
    "inputs": (10_000, lambda n: files("inputs", n), "inputs"),
    "outputs": (10_000, lambda n: files("outputs", n), "outputs"),
    "volumes": (10_000, lambda n: task(volumes=[f"/v/{i}" for i in range(n)]), "volumes"),
    "content": (131_072, lambda n: given(url="", content="c" * n), "inputs[0].content"),
    "path": (2_047, lambda n: given(path="/a" * n + "/b"), "inputs[0].path"),
    "part": (255, lambda n: given(path=f"/{'a' * n}"), "inputs[0].path"),
    "url": (16_384, lambda n: given(url="/" * n), "inputs[0].url"),
    "name": (4_096, lambda n: task(name="n" * n), "name"),
    "input name": (4_096, lambda n: given(name="n" * n), "inputs[0].name"),
    "description": (65_536, lambda n: task(description="d" * n), "description"),
    "tags": (256, lambda n: task(tags={str(i): "" for i in range(n)}), "tags"),
    "key": (4_096, lambda n: task(tags={"k" * n: ""}), f'tags["{"k" * 80}…"]'),
    "value": (4_096, lambda n: task(tags={"k": "v" * n}), 'tags["k"]'),
    "zones": (256, lambda n: task(resources={"zones": ["z"] * n}), "resources.zones"),
    "zone": (4_096, lambda n: task(resources={"zones": ["z" * n]}), "resources.zones[0]"),
    "image": (255, lambda n: step(image="a" * n), "executors[0].image"),
    "cpus": (2**31 - 1, lambda n: task(resources={"cpu_cores": n}), "resources.cpu_cores"),
    "memory": (2**31 - 1, lambda n: task(resources={"ram_gb": n}), "resources.ram_gb"),
    "parameters": (
        256,
        lambda n: task(resources={"backend_parameters": {str(i): "" for i in range(n)}}),
        "resources.backend_parameters",
    ),
}


@pytest.mark.parametrize("limit", TASKS)
def test_a_task_has_limits(server: Server, limit: str) -> None:
    most, made, field = TASKS[limit]
    taken = server.http.post("/v1/tasks", json=made(most))
    assert taken.status_code == 200, taken.text[:1000]
    refused = server.http.post("/v1/tasks", json=made(most + 1))
    assert refused.status_code == 400
    (problem,) = refused.json()["problems"]
    assert problem["field"] == field
    assert any(letter.isdecimal() for letter in problem["message"])


def test_a_body_has_a_limit(server: Server) -> None:
    body = json.dumps(task()).encode()
    taken = server.http.post("/v1/tasks", content=body.ljust(LIMITS.body))
    assert taken.status_code == 200
    refused = server.http.post("/v1/tasks", content=body.ljust(LIMITS.body + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("where", ["query", "header", "headers"])
def test_what_comes_before_the_body_has_a_limit(server: Server, where: str) -> None:
    def asked(size: int) -> httpx.Response:
        """With a URL and headers of that size, as the server counts them."""
        request = server.http.build_request("GET", "/v1/tasks")
        known = sum(len(name) + len(value) for name, value in request.headers.raw)
        left = size - known - len("/v1/tasks")
        headers = {"header": {"x": "y" * (left - 1)}, "query": {}}.get(
            where, {f"x{number:03}": "y" * 996 for number in range(left // 1000)}
        )
        left -= sum(len(name) + len(value) for name, value in headers.items())
        query = f"?{'q' * (left - 1)}" if left else ""
        return server.http.get(f"/v1/tasks{query}", headers=headers)

    assert asked(HEAD).status_code == 200
    refused = asked(HEAD + 1)
    assert (refused.status_code, refused.json()["code"]) == (431, "RESOURCE_EXHAUSTED")
    assert server.http.get("/v1/tasks").status_code == 200


def sent(server: Server, *pieces: bytes) -> bytes:
    """What the server says to raw bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        try:
            for piece in pieces:
                one.sendall(piece)
        except OSError:
            pass
        answer = b""
        try:
            while piece := one.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_a_header_without_end_is_cut_off(server: Server) -> None:
    begin = b"GET /v1/tasks HTTP/1.1\r\nX: "
    answer = sent(server, begin, *[b"y" * 4096] * 64)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


@pytest.mark.parametrize(
    "words",
    [
        b"BREW /v1/tasks HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/tasks HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_request_is_told_in_json(server: Server, words: bytes) -> None:
    head, _, body = sent(server, words).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("page_size=2048", 200), ("page_size=2049", 200), ("page_size=" + "9" * 5000, 200)),
        *(("page_size=-1", 200), ("page_size=1e3", 400), ("page_size=NaN", 400)),
        *(
            ("page_token=" + "x" * 5000, 400),
            ("view=" + "x" * 5000, 400),
            ("state=" + "9" * 99, 400),
        ),
        *(("tag_key=%00", 200), ("name_prefix=%ff%fe", 200), ("name_prefix=%ed%a0%80", 200)),
        *(("&" * 5000, 200), ("tag_key=a&" * 3000, 200)),
    ],
)
def test_a_query_is_answered_whatever_it_is(server: Server, query: str, status: int) -> None:
    assert server.http.get(f"/v1/tasks?{query}").status_code == status


def test_an_idempotency_key_has_a_limit(server: Server) -> None:
    for size, status in ((255, 200), (256, 400)):
        headers = {"Idempotency-Key": "k" * size}
        assert server.http.post("/v1/tasks", json=task(), headers=headers).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"executors":' * 100_000, b"[" * 4_000_000),
        *(b'{"name": NaN}', b'{"resources": {"ram_gb": Infinity}}', b'{"name": "a", "name": "b"}'),
        *(b'{"resources": {"cpu_cores": ' + b"9" * 4_000_000 + b"}}", b'{"name": "\\ud800"}'),
        *(b'{"name": "\\u0000"}', b'{"tags": {"a\\u0000": ""}}', b"\xff\xfe", b"\x00", b"null"),
        *(b'{"executors": [{"image": "a", "command": ["b\\u0000"]}]}', b"", b"1e999", b'"' * 9),
        *(b'{"tags": {' + b'"a": "",' * 400_000 + b'"b": ""}}', b'{"tags": {"\\udfff": "x"}}'),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bodies_that_break_parsers_are_refused(server: Server, body: bytes) -> None:
    answer = server.http.post("/v1/tasks", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert len(answer.content) < 100_000


def memory(server: Server, name: str) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name)) * 1024


async def gigabyte() -> AsyncGenerator[bytes]:
    piece = b" " * MIB
    for _ in range(1024 * EFFORT):
        yield piece


def test_a_gigabyte_that_streams_in_costs_no_memory(server: Server) -> None:
    async def send() -> int:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            try:
                return (await http.post("/v1/tasks", content=gigabyte())).status_code
            except httpx.TransportError:
                # The server has answered and gone before all was sent.
                return 413

    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = memory(server, "VmRSS")
    assert asyncio.run(send()) == 413
    assert memory(server, "VmHWM") - before <= 32 * MIB
    assert server.http.get("/v1/tasks").status_code == 200
