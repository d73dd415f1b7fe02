"""The operations of TES on tasks."""

from collections.abc import Mapping
from typing import Final

from msgspec import json

from funnel.api.admission import Admission, Room
from funnel.api.answer import Answer
from funnel.api.body import read_body
from funnel.api.caller import caller
from funnel.api.live import LiveDoor
from funnel.api.query import read_query, read_view
from funnel.api.request import Request
from funnel.api.routes import Route, task_id_of
from funnel.api.settings import Limits
from funnel.core.error import Denied, Invalid
from funnel.ports import Documents
from funnel.service.submit import Submit
from funnel.wire.document import write_listing
from funnel.wire.json import read_spec

LONGEST_KEY: Final = 255
WAIT: Final = b"wait="
WAITED: Final = "Funnel-Waited"
"""Who does not find this header waits at a server that knows no waiting."""


class TaskDoor:
    """Reads go to the database, writes through the service."""

    def __init__(
        self, submit: Submit, documents: Documents, limits: Limits, live: LiveDoor
    ) -> None:
        self._submit = submit
        self._documents = documents
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
                task_id = await self._submit.create(
                    read_spec(body), owner=caller(request).name, key=_key(request)
                )
        finally:
            room.give_back(len(body))
        return Answer(json.encode({"id": task_id}))

    async def list_tasks(self, request: Request) -> Answer:
        query = read_query(request.query, caller(request).scope)
        async with self._lists:
            return Answer(write_listing(await self._documents.list_tasks(query)))

    async def get(self, request: Request) -> Answer:
        query = request.query
        view = read_view(query)
        waits = WAIT in query
        if waits:
            await self._live.wait(request)
        shown = Answer(await self._documents.show(task_id_of(request), view, caller(request).scope))
        if waits:
            shown.add(WAITED, "true")
        return shown

    async def cancel(self, request: Request) -> Answer:
        """A task that has ended stays as it is; that is no error."""
        await self._submit.cancel(task_id_of(request), caller(request).scope)
        return Answer(b"{}")

    async def delete(self, request: Request) -> Answer:
        """An extension of ours; the files that the task has stored stay where they are."""
        if not caller(request).administrator:
            raise Denied("only administrators may delete tasks")
        await self._submit.delete(task_id_of(request))
        return Answer(b"{}")


def _key(request: Request) -> str:
    """Raises `Invalid` where it says less than whoever sends it means; without one it is empty."""
    keys = request.values(b"idempotency-key")
    if not keys:
        return ""
    if len(keys) > 1:
        raise Invalid("the Idempotency-Key header is there more than once")
    (key,) = keys
    if not key.strip():
        raise Invalid("the Idempotency-Key header is empty; leave it out or give it a value")
    if len(key) > LONGEST_KEY:
        raise Invalid(f"the Idempotency-Key header is longer than {LONGEST_KEY} characters")
    return key
