"""Asking the door as clients do."""

import asyncio
from typing import Any

import httpx

STEP = {"image": "alpine", "command": ["true"]}


async def create(http: httpx.AsyncClient, **given: Any) -> str:
    answer = await http.post("/v1/tasks", json={"executors": [STEP], **given})
    assert answer.status_code == 200, answer.text
    made: str = answer.json()["id"]
    return made


async def get(http: httpx.AsyncClient, task_id: str, view: str = "FULL") -> dict[str, Any]:
    answer = await http.get(f"/v1/tasks/{task_id}", params={"view": view})
    assert answer.status_code == 200, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def page(http: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await http.get(f"/v1/tasks?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(http: httpx.AsyncClient, query: str = "") -> list[str]:
    return [task["id"] for task in (await page(http, query))["tasks"]]


async def say(port: int, sent: bytes) -> bytes:
    """What comes back until the server hangs up, which is asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: funnel", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1") + body
