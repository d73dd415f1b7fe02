"""A TES server over HTTP."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from msgspec import ValidationError, convert, json

from funnel.client.connection import Connection, Question
from funnel.client.environment import chosen
from funnel.client.events import News, NoStreams, events
from funnel.client.given import TIMEOUT, TRIES, Described, Tags, pairs
from funnel.client.hearing import changes, pieces
from funnel.client.waiting import ENDED, rest, wait
from funnel.core.backoff import delays
from funnel.core.container import Stream
from funnel.core.error import Busy, FunnelError, Unavailable
from funnel.core.info import ServiceInfo
from funnel.core.query import Page, View
from funnel.core.state import State
from funnel.core.task import Spec, Task, TaskId
from funnel.core.value import Value

T = TypeVar("T")

CONNECTIONS: Final = 32
WAITS: Final = 256
"""Connections on which the server lets us wait."""
WAIT: Final = "30s"
WAITED: Final = "Funnel-Waited"


class _Created(Value):
    id: TaskId


class AsyncClient:
    """
    Talks to one TES server: `async with AsyncClient("http://localhost:8000") as client`.

    Without a name the server is that of `FUNNEL_SERVER`, or the one on this machine. Who asks is
    a `user` with a `password`, or who has the `token`; else `FUNNEL_SERVER_USER` and
    `FUNNEL_SERVER_PASSWORD`, or `FUNNEL_SERVER_TOKEN`, say so. `ca_file` (`FUNNEL_SERVER_CA_FILE`)
    has the authorities to trust for https. An answer may take `timeout` seconds.

    Calls are repeated, a few times, when the server does not answer or is too busy; creating is
    safe to repeat, since each call carries a key by which the server knows it again. Raises the
    errors of `core.error`: `NotFound`, `Invalid`, `Denied` and their like, and `Unavailable` when
    tries are over. Belongs to the event loop in which it is used first.
    """

    def __init__(
        self,
        server: str = "",
        *,
        user: str = "",
        password: str = "",
        token: str = "",
        ca_file: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self.server = chosen(server, user=user, password=password, token=token, ca_file=ca_file)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._waits = asyncio.Semaphore(WAITS)
        self._connection = Connection(self.server, timeout=timeout, most=CONNECTIONS + WAITS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.server.shown}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_ended: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up all connections. Tasks are not touched."""
        await self._connection.close()

    async def create(self, task: Described, *, key: str = "") -> TaskId:
        """The id of the new task. With a `key` that was used before: of the task made then."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        answer = await self._call(Question("POST", "/tasks", body=_body(task), headers=headers))
        return _read(answer, _Created).id

    async def run(self, task: Described, *, timeout: float | None = None) -> Task:
        """Create a task and wait for its end; see `create` and `wait`."""
        return await self.wait(await self.create(task), timeout=timeout)

    async def get(self, task_id: str, view: View = View.FULL) -> Task:
        answer = await self._call(Question("GET", _path(task_id), [("view", view)]))
        return _read(answer, Task)

    async def list(
        self,
        *,
        state: State | None = None,
        tags: Tags = (),
        name_prefix: str = "",
        view: View = View.BASIC,
    ) -> AsyncGenerator[Task]:
        """
        Tasks, newest first, over as many pages as there are.

        All `tags` must match; with an empty value the key need only be there.
        """
        found = self.pages(state=state, tags=tags, name_prefix=name_prefix, view=view)
        async with aclosing(found):
            async for page in found:
                for task in page.tasks:
                    yield task

    async def pages(
        self,
        *,
        state: State | None = None,
        tags: Tags = (),
        name_prefix: str = "",
        view: View = View.BASIC,
        page_size: int | None = None,
        page_token: str = "",
    ) -> AsyncGenerator[Page]:
        """
        The pages of a list, from that token on; only the last has no token for the next.

        A page may be empty and not be the last.
        """
        given = [
            ("view", str(view)),
            ("page_size", str(page_size or "")),
            ("state", str(state or "")),
            ("name_prefix", name_prefix),
        ]
        asked = [*(pair for pair in given if pair[1]), *_tags(tags)]
        more = True
        while more:
            params = [*asked, *([("page_token", page_token)] if page_token else [])]
            answer = await self._call(Question("GET", "/tasks", params))
            page = _read({"tasks": [], **answer}, Page)
            more = page.next_page_token not in {"", page_token}
            page_token = page.next_page_token
            yield page

    async def wait(
        self,
        task_id: str,
        *,
        timeout: float | None = None,
        until: Collection[State] = ENDED,
        view: View = View.FULL,
    ) -> Task:
        """
        The task, once it is in one of these states or has ended.

        The server is asked to wait; one that cannot is asked again and again. It may be gone
        for some minutes, as when it is restarted. Raises `TimeoutError` after `timeout` seconds;
        the task goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                task = await wait(self, task_id, until)
                return task if view is View.MINIMAL else await self.get(task_id, view)
        except TimeoutError:
            raise TimeoutError(f"task {task_id} takes longer than {timeout:g} s") from None

    async def look(self, task_id: str, until: Collection[State]) -> tuple[Task, bool]:
        """Id and state, and whether the server has waited half a minute for one of the states."""
        states = ",".join(sorted(until))
        params = [("view", View.MINIMAL), ("wait", WAIT), ("until", states)]
        async with self._waits:
            headers, answer = await self._connection.ask(Question("GET", _path(task_id), params))
        return _read(answer, Task), WAITED in headers

    async def logs(
        self,
        task_id: str,
        *,
        follow: bool = False,
        stream: Stream | None = None,
        executor: int | None = None,
    ) -> AsyncGenerator[str]:
        """
        What a task has printed, as far as it is kept; with `follow`, what it prints until it ends.

        Of all its executors, 0 the first, and both streams, unless one is named.
        """
        async with aclosing(pieces(self, task_id, follow=follow)) as told:
            async for piece in told:
                wanted = piece.stream is not None and stream in {None, piece.stream}
                if wanted and executor in {None, piece.executor}:
                    yield piece.text

    async def events(
        self, task_id: str = "", *, after: str = "", output: bool = False
    ) -> AsyncGenerator[News]:
        """
        What happens to a task until it has ended; without an id, to all tasks, from now on.

        Goes on where it was when the connection breaks, and `after` an event with that id. With
        `output`, what the task prints is told too. Of a server that tells no events one hears of
        changes of state only, and nothing of all tasks: then it raises `NoStreams`.
        """
        if task_id:
            await self.get(task_id, View.MINIMAL)
        told = self.told(task_id, after=after, output=output)
        try:
            async with aclosing(told):
                async for news in told:
                    yield news
        except NoStreams:
            if not task_id:
                raise
            async for news in changes(self, task_id):
                yield news

    async def told(
        self, task_id: str, *, after: str = "", output: bool = False
    ) -> AsyncGenerator[News]:
        """
        The same from a server that tells it, of a task that is there.

        Raises `NoStreams` at another.
        """
        params = [("output", "true")] if output else []
        question = Question("GET", _path(task_id, "/events") if task_id else "/events", params)
        async with self._waits, aclosing(events(self._connection, question, after)) as told:
            async for news in told:
                yield news

    async def cancel(self, task_id: str) -> None:
        """Ask for the end of a task; one that has ended stays as it is."""
        await self._call(Question("POST", _path(task_id, ":cancel")))

    async def delete(self, task_id: str) -> None:
        """Have a task that has ended forgotten. An extension of ours: TES has no such call."""
        await self._call(Question("DELETE", _path(task_id)))

    async def service_info(self) -> ServiceInfo:
        """What the server says of itself."""
        return _read(await self._call(Question("GET", "/service-info")), ServiceInfo)

    async def _call(self, question: Question) -> Any:
        """Every call may be repeated: it only reads, or the server knows it again."""
        for pause in islice(delays(first=0.1, most=2.0), TRIES - 1):
            try:
                return await self._once(question)
            except (Busy, Unavailable) as error:
                seconds = rest(error, pause)
            await asyncio.sleep(seconds)
        return await self._once(question)

    async def _once(self, question: Question) -> Any:
        async with self._turns:
            _, answer = await self._connection.ask(question)
        return answer


def _path(task_id: str, end: str = "") -> str:
    return f"/tasks/{quote(task_id, safe='')}{end}"


def _body(task: Described) -> bytes:
    """Without what only a server says of a task, where that was asked for again."""
    if isinstance(task, Task):
        task = Spec(**{name: getattr(task, name) for name in Spec.__struct_fields__})
    return json.encode(task)


def _tags(tags: Tags) -> Iterator[tuple[str, str]]:
    for key, value in pairs(tags):
        yield "tag_key", key
        yield "tag_value", value


def _read(answer: Any, kind: type[T]) -> T:
    try:
        return convert(answer, kind, strict=False)
    except ValidationError as error:
        raise FunnelError(f"the server's answer is not TES 1.1: {error}") from error
