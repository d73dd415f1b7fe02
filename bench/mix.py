"""A steady mix of clients: they create, look, list, wait, follow and cancel, and outlast kills."""

import asyncio
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp

from bench.engine import IMAGE
from bench.lookups import PAGE, page_path
from bench.pattern import new_id
from bench.served import FINAL

AT_ONCE: Final = 64
"""So many requests of one kind are on their way at most; the next waits."""
FILLING: Final = 4
AGAIN: Final = 0.2
"""Seconds till a server that does not answer is asked again."""
VIEWS: Final = ("MINIMAL", "BASIC", "FULL")
QUERIES: Final = (
    "",
    "state=COMPLETE",
    "state=CANCELED&tag_key=kind",
    "name_prefix=soak",
    "tag_key=kind&tag_value=long",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests per second."""

    creates: float
    gets: float
    lists: float


@dataclass(slots=True)
class Mix:
    """The clients of one server; `made` are the tasks that it has promised to run."""

    session: aiohttp.ClientSession
    url: str
    rates: Rates
    random: Random
    made: list[str] = field(default_factory=list[str])
    recent: deque[str] = field(default_factory=lambda: deque[str](maxlen=1000))
    answers: Counter[str] = field(default_factory=Counter[str])

    async def run(self, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for rate, act in (
                (self.rates.creates, self._task),
                (self.rates.gets, self._get),
                (self.rates.lists, self._list),
            ):
                group.create_task(_steadily(rate, act, end))

    async def fill(self, count: int) -> None:
        """Have the server read all over the `count` tasks that were there before us."""
        pages = [page_path("FULL", place) for place in range(count, PAGE, -2 * PAGE)]
        gets = [f"/tasks/{new_id(n)}?view=FULL" for n in range(1, count, 14)]
        todo = iter([*pages, *gets])

        async def some() -> None:
            for path in todo:
                await self._ask("GET", path)

        await asyncio.gather(*(some() for _ in range(FILLING)))

    async def left(self) -> Sequence[str]:
        """The tasks that have not ended, after each had a minute's patience."""
        left, todo = list[str](), iter(self.made)

        async def some() -> None:
            for one in todo:
                if not await self._ended(one):
                    left.append(one)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return left

    async def _task(self) -> None:
        """One task from its creation to its end, with what clients do about it meanwhile."""
        chance = self.random.random()
        made = await self._create(_task(len(self.made), long=chance < 0.1))
        if chance < 0.1:
            await asyncio.sleep(self.random.uniform(0, 4))
            await self._ask("POST", f"/tasks/{made}:cancel")
        elif chance < 0.4:
            await self._ask("GET", f"/tasks/{made}/logs?follow=true", patient=False)
        await self._ask("GET", f"/tasks/{made}?wait=30s")

    async def _create(self, task: Mapping[str, Any]) -> str:
        key = {"Idempotency-Key": uuid.UUID(int=self.random.getrandbits(128)).hex}
        answer = await self._ask("POST", "/tasks", json=task, headers=key)
        made: str = answer["id"]
        self.made.append(made)
        self.recent.append(made)
        return made

    async def _get(self) -> None:
        if self.recent:
            one, view = self.random.choice(self.recent), self.random.choice(VIEWS)
            await self._ask("GET", f"/tasks/{one}?view={view}")

    async def _list(self) -> None:
        view, query = self.random.choice(VIEWS), self.random.choice(QUERIES)
        await self._ask("GET", f"/tasks?page_size=64&view={view}&{query}")

    async def _ended(self, task_id: str) -> bool:
        for _ in range(2):
            answer = await self._ask("GET", f"/tasks/{task_id}?wait=30s")
            if answer["state"] in FINAL:
                return True
        return False

    async def _ask(
        self, method: str, path: str, *, patient: bool = True, **given: Any
    ) -> Mapping[str, Any]:
        """The JSON of the answer, asked for again until there is one; nothing from the hasty."""
        while True:
            try:
                async with self.session.request(method, f"{self.url}{path}", **given) as answer:
                    self.answers[str(answer.status)] += 1
                    if answer.status < 500 and answer.status != 429 and patient:
                        found: Mapping[str, Any] = await answer.json()
                        return found
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                self.answers["broken off"] += 1
            if not patient:
                return {}
            await asyncio.sleep(AGAIN)


async def _steadily(rate: float, act: Callable[[], Awaitable[None]], end: float) -> None:
    """So many a second, without waiting for one before the next; and then for all of them."""
    loop, room = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await act()

    async with asyncio.TaskGroup() as group:
        while loop.time() < end:
            group.create_task(one())
            await asyncio.sleep(1 / rate)
            async with room:
                """Begin no more than there is room for."""


def _task(n: int, *, long: bool) -> Mapping[str, Any]:
    script = "sleep 60" if long else f"for i in 1 2 3; do echo $i of {n}; done; exit {n % 8 == 7:d}"
    return {
        "name": f"soak {n}",
        "executors": [{"image": IMAGE, "command": ["sh", "-c", script]}],
        "tags": {"kind": "long" if long else "short", "number": str(n)},
    }
