"""Everybody asks every route."""

from collections.abc import AsyncGenerator, Iterator
from typing import Final, NamedTuple

import httpx
from doors import client, door
from everybody import CALLERS, FOREIGN, TARGETS, Known, table, whose

from funnel.api.http import HttpDoor

BODY: Final = {"executors": [{"image": "alpine", "command": ["true"]}]}


class Row(NamedTuple):
    method: str
    template: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.method:<6} {self.template:<21} {self.target:<8}"


async def table_of_http(inside: Known) -> str:
    app = door(inside.database, callers=inside.callers, tasks=inside.tasks)
    async with client(app) as http:

        async def cell(row: Row, caller: str) -> str:
            return await _cell(inside, http, row, caller)

        return await table([(row.name, row) for row in _rows(app)], cell)


def _rows(app: HttpDoor) -> Iterator[Row]:
    """All that the running door leads to."""
    for template, methods in sorted(app.routes.items()):
        for method in sorted(methods):
            for target in TARGETS if "{id}" in template else ("",):
                yield Row(method, template, target)


async def _cell(inside: Known, http: httpx.AsyncClient, row: Row, caller: str) -> str:
    """The status; with it whose tasks are shown, where there are several."""
    tasks = await inside.tasks_for(caller)
    path = row.template.replace("{id}", tasks.get(row.target, ""))
    body = BODY if row == Row("POST", "/tasks", "") else None
    asked = http.build_request(
        row.method, path, json=body, params=_params(row), headers=CALLERS[caller](tasks["own"])
    )
    answer = await http.send(asked, stream=True)
    try:
        seen = await _seen(row, answer) if answer.status_code == 200 else ""
    finally:
        await answer.aclose()
    return f"{answer.status_code} {seen}".rstrip()


def _params(row: Row) -> dict[str, str]:
    """All that there is, told now."""
    return {"/events": {"after": "0"}, "/tasks": {"view": "BASIC"}}.get(row.template, {})


async def _seen(row: Row, answer: httpx.Response) -> str:
    if row == Row("GET", "/tasks", ""):
        await answer.aread()
        return whose([task.get("name", "") for task in answer.json()["tasks"]])
    return whose([name async for name in _told(answer)]) if row.template == "/events" else ""


async def _told(answer: httpx.Response) -> AsyncGenerator[str]:
    async for line in answer.aiter_lines():
        if line == ": still here":
            return
        for name in FOREIGN:
            if f'"owner":"{name}"' in line:
                yield name


async def answer_of_http(http: httpx.AsyncClient, method: str, path: str, caller: str) -> str:
    """All of it but the time of day."""
    answer = await http.request(method, path, headers=CALLERS[caller](""))
    heads = [(name, value) for name, value in answer.headers.raw if name != b"date"]
    return f"{answer.status_code} {heads} {answer.text}"
