"""Asking the door as clients do."""

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
