"""A TES server over HTTP."""

import asyncio
import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from secrets import SystemRandom
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
from msgspec import DecodeError, ValidationError, convert, json

from funnel.client.address import Address, address
from funnel.client.answer import failure, without_nulls
from funnel.core.backoff import delays
from funnel.core.error import Busy, FunnelError, Unavailable
from funnel.core.query import Page, View
from funnel.core.state import State
from funnel.core.task import Spec, Task, TaskId
from funnel.core.value import Value

T = TypeVar("T")

TRIES: Final = 4
TIMEOUT: Final = timedelta(seconds=60)
CONNECTIONS: Final = 32


class Filter(Value, kw_only=True):
    """Which tasks to list; what is empty asks for all. `tags` match as in TES 1.1."""

    state: State | None = None
    name_prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class _Created(Value):
    id: TaskId


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
        self.server = address(server) if isinstance(server, str) else server
        user, password = user or self.server.user, password or self.server.password
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._session = aiohttp.ClientSession(
            headers=_who(user, password) if user else None,
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds(), sock_connect=10),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            trust_env=not self.server.local,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_ended: object) -> None:
        await self._session.close()

    async def create(self, spec: Spec, *, key: str = "") -> TaskId:
        """The id of the new task. With a `key` that was used before: of the task made then."""
        body = json.encode(spec)
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        answer = await self._call("POST", "/tasks", body=body, headers=headers)
        return _read(answer, _Created).id

    async def get(self, task_id: str, view: View = View.FULL) -> Task:
        answer = await self._call(
            "GET", f"/tasks/{quote(task_id, safe='')}", params=[("view", view)]
        )
        return _read(answer, Task)

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
        return _read({"tasks": [], **await self._call("GET", "/tasks", params=params)}, Page)

    async def cancel(self, task_id: str) -> None:
        """Ask for the end of a task; one that has ended stays as it is."""
        await self._call("POST", f"/tasks/{quote(task_id, safe='')}:cancel")

    async def delete(self, task_id: str) -> None:
        """Have a task that has ended forgotten. An extension of ours: TES has no such call."""
        await self._call("DELETE", f"/tasks/{quote(task_id, safe='')}")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Every call may be repeated: it only reads, or the server knows it again."""
        for delay in islice(delays(first=0.1, most=2.0), TRIES - 1):
            try:
                return await self._once(method, path, params, body, headers)
            except (Busy, Unavailable):
                await asyncio.sleep(delay * SystemRandom().uniform(0.5, 1.5))
        return await self._once(method, path, params, body, headers)

    async def _once(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Any:
        url = self.server.base + path
        try:
            async with (
                self._turns,
                self._session.request(
                    method, url, params=params, data=body, headers=headers
                ) as answer,
            ):
                text = await answer.read()
                status = answer.status
        except TimeoutError as error:
            raise Unavailable(f"{self.server.shown} does not answer, try again later") from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(_unreachable(self.server)) from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{self.server.shown} broke off: {error}") from error
        if status >= 300:
            raise failure(self.server, status, text)
        return _decoded(self.server, text)


def _who(user: str, password: str) -> Mapping[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def _decoded(server: Address, text: bytes) -> Any:
    try:
        return without_nulls(json.decode(text)) if text.strip() else {}
    except DecodeError:
        raise FunnelError(f"{server.shown} does not speak TES: its answer is not JSON") from None


def _read(answer: Any, kind: type[T]) -> T:
    try:
        return convert(answer, kind, strict=False)
    except ValidationError as error:
        raise FunnelError(f"the server's answer is not TES 1.1: {error}") from error


def _unreachable(server: Address) -> str:
    start = ", or start one with `funnel server run`" if server.local else ""
    return (
        f"no server answers at {server.shown}: name another with --server or FUNNEL_SERVER{start}"
    )
