"""A TES server over HTTP."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from datetime import timedelta
from itertools import islice
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from msgspec import ValidationError, convert, json
from msgspec.structs import replace

from funnel.client.address import Address, address
from funnel.client.connection import Connection, Question
from funnel.client.events import News, events
from funnel.client.waiting import ENDED, jittered, wait
from funnel.core.backoff import delays
from funnel.core.error import Busy, FunnelError, Unavailable
from funnel.core.query import Page, View
from funnel.core.secret import Secret
from funnel.core.state import State
from funnel.core.task import Spec, Task, TaskId
from funnel.core.value import Value

T = TypeVar("T")

TRIES: Final = 4
TIMEOUT: Final = timedelta(seconds=60)
CONNECTIONS: Final = 32
WAITS: Final = 256
"""Connections on which the server lets us wait."""
WAIT: Final = "30s"
WAITED: Final = "Funnel-Waited"


class Filter(Value, kw_only=True):
    """Which tasks to list; what is empty asks for all. `tags` match as in TES 1.1."""

    state: State | None = None
    name_prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class _Created(Value):
    id: TaskId


def _path(task_id: str, end: str = "") -> str:
    return f"/tasks/{quote(task_id, safe='')}{end}"


class Client:
    """
    Talks to one server; use it as `async with Client("http://localhost:8000") as client`.

    Calls are repeated when the server does not answer; creating is safe to repeat, since
    each call carries a key by which the server knows it again. Raises the errors of
    `core.error`: `NotFound`, `Invalid`, `Denied`, and `Unavailable` when tries are over.
    """

    def __init__(
        self,
        server: str | Address,
        *,
        user: str = "",
        password: str = "",
        timeout: timedelta = TIMEOUT,
    ) -> None:
        named = address(server) if isinstance(server, str) else server
        self.server = replace(
            named, user=user or named.user, password=Secret(password) or named.password
        )
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._waits = asyncio.Semaphore(WAITS)
        self._connection = Connection(self.server, timeout=timeout, most=CONNECTIONS + WAITS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_ended: object) -> None:
        await self._connection.close()

    async def create(self, spec: Spec, *, key: str = "") -> TaskId:
        """The id of the new task. With a `key` that was used before: of the task made then."""
        body = json.encode(spec)
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        answer = await self._call(Question("POST", "/tasks", body=body, headers=headers))
        return _read(answer, _Created).id

    async def get(self, task_id: str, view: View = View.FULL) -> Task:
        answer = await self._call(Question("GET", _path(task_id), [("view", view)]))
        return _read(answer, Task)

    async def wait(
        self, task_id: str, *, until: Collection[State] = ENDED, view: View = View.MINIMAL
    ) -> Task:
        """
        The task, once it is in one of these states or has ended, however long that takes.

        The server is asked to wait; one that cannot is asked again and again. It may be gone
        for some minutes, as when it is restarted.
        """
        return await wait(self, task_id, view, until)

    async def look(self, task_id: str, view: View, until: Collection[State]) -> tuple[Task, bool]:
        """The task, and whether the server has waited half a minute for one of the states."""
        params = [("view", view), ("wait", WAIT), ("until", ",".join(sorted(until)))]
        async with self._waits:
            headers, answer = await self._connection.ask(Question("GET", _path(task_id), params))
        return _read(answer, Task), WAITED in headers

    async def events(self, task_id: str, *, output: bool = False) -> AsyncGenerator[News]:
        """
        What happens to a task, with what it prints if that is asked for, until it has ended.

        Goes on where it was when the connection breaks. Raises `NoStreams` at a server that
        has none; whether the task is there at all must be known before.
        """
        params = [("output", "true")] if output else []
        question = Question("GET", _path(task_id, "/events"), params)
        async with self._waits, aclosing(events(self._connection, question)) as told:
            async for news in told:
                yield news

    async def list_tasks(
        self,
        which: Filter | None = None,
        *,
        view: View = View.MINIMAL,
        page_size: int | None = None,
        page_token: str = "",
    ) -> Page:
        """Newest first; the next page is behind `next_page_token`, which is empty on the last."""
        which = which or Filter()
        given = [
            ("view", str(view)),
            ("page_size", str(page_size or "")),
            ("page_token", page_token),
            ("state", str(which.state or "")),
            ("name_prefix", which.name_prefix),
        ]
        tags = [
            pair for key, value in which.tags for pair in (("tag_key", key), ("tag_value", value))
        ]
        params = [*(pair for pair in given if pair[1]), *tags]
        return _read({"tasks": [], **await self._call(Question("GET", "/tasks", params))}, Page)

    async def cancel(self, task_id: str) -> None:
        """Ask for the end of a task; one that has ended stays as it is."""
        await self._call(Question("POST", _path(task_id, ":cancel")))

    async def delete(self, task_id: str) -> None:
        """Have a task that has ended forgotten. An extension of ours: TES has no such call."""
        await self._call(Question("DELETE", _path(task_id)))

    async def _call(self, question: Question) -> Any:
        """Every call may be repeated: it only reads, or the server knows it again."""
        for delay in islice(delays(first=0.1, most=2.0), TRIES - 1):
            try:
                return await self._once(question)
            except (Busy, Unavailable):
                await asyncio.sleep(jittered(delay))
        return await self._once(question)

    async def _once(self, question: Question) -> Any:
        async with self._turns:
            _, answer = await self._connection.ask(question)
        return answer


def _read(answer: Any, kind: type[T]) -> T:
    try:
        return convert(answer, kind, strict=False)
    except ValidationError as error:
        raise FunnelError(f"the server's answer is not TES 1.1: {error}") from error
