"""Hearing streams as clients do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from funnel.service.hub import Hub


async def until(happens: Callable[[], object]) -> None:
    """Look again and again, until it is so."""
    async with asyncio.timeout(20):
        while True:
            if happens():
                return
            await asyncio.sleep(0.005)


async def waited_for(hub: Hub, number: int = 1) -> None:
    """Until so many requests wait."""
    await until(lambda: hub.waiting == number)


@dataclass(frozen=True, slots=True)
class Heard:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


async def heard(answer: httpx.Response) -> AsyncIterator[Heard]:
    """What a browser would hear, comments left out."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                data = json.loads(fields["data"])
                yield Heard(fields.get("id", ""), fields["event"], data)
            fields = {}


async def all_heard(http: httpx.AsyncClient, path: str, **headers: str) -> list[Heard]:
    """A stream to its end."""
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        return [one async for one in heard(answer)]
