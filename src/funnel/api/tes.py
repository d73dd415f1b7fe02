"""The operations of TES on tasks."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import json

from funnel.api.admission import Admission, Room
from funnel.api.answer import Answer
from funnel.api.body import read_body
from funnel.api.keys import IDEMPOTENCY_KEY, read_key
from funnel.api.live import LiveDoor
from funnel.api.query import read_query, read_view
from funnel.api.request import Request
from funnel.api.routes import Route, task_id_of
from funnel.api.settings import Limits
from funnel.service.tasks import TaskService
from funnel.wire.document import write_listing
from funnel.wire.json import read_spec

WAIT: Final = b"wait="
WAITED: Final = "Funnel-Waited"
"""Who does not find this header waits at a server that knows no waiting."""


class TaskDoor:
    """Reads requests and writes answers; the rest is the service's."""

    def __init__(self, tasks: TaskService, limits: Limits, live: LiveDoor) -> None:
        self._tasks = tasks
        self._limits = limits
        self._live = live
        self._room = Room(limits.bodies)
        self._creates = Admission(limits.creates, limits.turn_seconds)
        self._lists = Admission(limits.lists, limits.turn_seconds)

    def routes(self) -> Mapping[str, Route]:
        many = Route("/tasks", {"GET": self.list_tasks, "POST": self.create})
        one = Route("/tasks/{id}", {"GET": self.get, "DELETE": self.delete})
        cancel = Route("/tasks/{id}:cancel", {"POST": self.cancel})
        return {route.template: route for route in (many, one, cancel)}

    async def create(self, request: Request) -> Answer:
        limits, room = self._limits, self._room
        body = await read_body(request, limit=limits.body, seconds=limits.body_seconds, room=room)
        try:
            async with self._creates:
                spec = read_spec(body)
                key = read_key(request.values(IDEMPOTENCY_KEY.encode()))
                task_id = await self._tasks.create(spec, request.caller, key=key)
        finally:
            room.give_back(len(body))
        return Answer(json.encode({"id": task_id}))

    async def list_tasks(self, request: Request) -> Answer:
        ask = partial(read_query, request.query)
        async with self._lists:
            return Answer(write_listing(await self._tasks.list_tasks(ask, request.caller)))

    async def get(self, request: Request) -> Answer:
        query = request.query
        view = read_view(query)
        waits = WAIT in query
        if waits:
            await self._live.wait(request)
        shown = Answer(await self._tasks.show(task_id_of(request), view, request.caller))
        if waits:
            shown.add(WAITED, "true")
        return shown

    async def cancel(self, request: Request) -> Answer:
        """A task that has ended stays as it is; that is no error."""
        await self._tasks.cancel(task_id_of(request), request.caller)
        return Answer(b"{}")

    async def delete(self, request: Request) -> Answer:
        """An extension of ours; the files that the task has stored stay where they are."""
        await self._tasks.delete(task_id_of(request), request.caller)
        return Answer(b"{}")
