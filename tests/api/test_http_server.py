"""The door behind a real HTTP server, asked over a socket."""

import json

import httpx
import pytest
from asking import STEP, request, say
from doors import LIMITS

TASK = json.dumps({"executors": [STEP]}).encode()


async def test_head_has_a_length_and_no_body(port: int) -> None:
    answer = await say(port, request("HEAD", "/v1/tasks"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 12" in head
    assert body == b""


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
async def test_other_methods_are_refused(port: int, method: str) -> None:
    answer = await say(port, request(method, "/ga4gh/tes/v1/tasks"))
    assert answer.startswith(b"HTTP/1.1 405")
    assert b"allow: GET, HEAD, POST" in answer


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(port: int) -> None:
    answer = await say(port, request("POST", "/v1/tasks", f"Content-Length: {LIMITS.body + 1}"))
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_that_never_ends_is_given_up(port: int) -> None:
    answer = await say(port, request("POST", "/v1/tasks", "Content-Length: 100", body=b"{"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body did not arrive within 0.2 seconds" in answer


async def test_a_body_in_chunks_is_read(port: int) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, TASK[at : at + 1]) for at in range(len(TASK)))
    sent = request("POST", "/v1/tasks", "Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    assert (await say(port, sent)).startswith(b"HTTP/1.1 200")


async def test_a_client_that_sends_too_much_still_reads_why(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.post("/v1/tasks", content=b" " * (2 * LIMITS.body))
        assert answer.status_code == 413
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/tasks/%00", "/v1/tasks/%ff", "/v1/tasks/%ED%A0%80", "/v1/tasks/" + "a" * 5000]
)
async def test_odd_ids_are_not_found(port: int, path: str) -> None:
    assert (await say(port, request("GET", path))).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "query",
    [
        *("name_prefix=%00", "name_prefix=%ff", "tag_key=%ED%A0%80&tag_value=%00", "a=%", "&&=&"),
        "&".join(["tag_key=a"] * 1000),
    ],
)
async def test_odd_filters_find_nothing(port: int, query: str) -> None:
    answer = await say(port, request("GET", f"/v1/tasks?{query}"))
    assert answer.startswith(b"HTTP/1.1 200")
