"""A server's end for workers that are away, in this process, and links to it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from byhand import ByHand
from grpc import aio

from funnel.api.grpc.worker import WorkerServicer
from funnel.core.access import ANYONE, Caller
from funnel.core.event import Accepted, Batch, Logged
from funnel.core.lease import Terms
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.link.call import Server
from funnel.link.link import Link, linked
from funnel.link.unsaid import Unsaid
from funnel.service.attendance import Attendance
from funnel.service.hold import Given
from funnel.service.hub import Hub
from funnel.testing.build import EPOCH, created, logged
from funnel.wire.gen import worker_pb2 as pb
from funnel.wire.gen.worker_pb2_grpc import add_WorkerServiceServicer_to_server

QUEUE = "external"
STEADY = Terms(lease=9.0, grace=36.0)
"""Longer than a machine at work keeps anybody waiting; `Place.late` is how they run out."""
LONG = Terms(lease=30.0, grace=900.0)


class Place(ByHand):
    """`terms` are those of servers that are opened from now on."""

    def __init__(self, database: SqliteDatabase, folder: Path) -> None:
        super().__init__(database)
        self.folder = folder
        self.terms = LONG
        self.caller: Caller = ANYONE
        self.token: Callable[[TaskId, int], str] | None = None
        self.shown: list[str] = []
        """What workers have shown that were let in."""
        self.port = 0
        self.late = 0.0
        """Seconds by which the workers' clock is ahead."""

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Attendance]:
        """At the same port each time."""
        attendance = Attendance(
            known=self.database,
            hub=Hub(self.database),
            terms=self.terms,
            now=lambda: EPOCH,
            queue=QUEUE,
            token=self.token,
        )
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        servicer: Any = WorkerServicer(attendance, lambda: self.caller)
        work = servicer.Work

        async def seen(reports: Any, context: Any) -> None:
            said = dict(context.invocation_metadata())
            self.shown.append(str(said.get("authorization", "")))
            await work(reports, context)

        servicer.Work = seen
        add_WorkerServiceServicer_to_server(servicer, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        judging = asyncio.create_task(attendance.forever())
        try:
            yield attendance
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)
            await server.stop(0)

    @asynccontextmanager
    async def link(
        self, task_id: TaskId, *, holder: str = "here", port: int = 0, **given: Any
    ) -> AsyncGenerator[Link]:
        link = self.unlinked(task_id, holder=holder, port=port, **given)
        async with linked(link):
            yield link

    def unlinked(
        self, task_id: TaskId, *, holder: str = "here", port: int = 0, tries: int = 100
    ) -> Link:
        return Link(
            Server(address=f"127.0.0.1:{port or self.port}"),
            pb.Hello(task_id=task_id, holder=holder),
            lambda fence: Unsaid(self.unsaid(task_id, fence, holder)),
            tries=tries,
            pause=lambda longest: min(longest, 0.05),
            clock=lambda: time.monotonic() + self.late,
        )

    def unsaid(self, task_id: TaskId, fence: int = 1, holder: str = "here") -> Path:
        """Where a worker has it; `here` is the place of the others' work directory."""
        work = self.folder if holder == "here" else self.folder.with_name(holder)
        return work / task_id / str(fence) / "private" / "unsaid"

    async def create(self, **given: Any) -> TaskId:
        """A task that its backend has taken."""
        task_id = await self.database.create(created(queue=QUEUE, **given))
        await self.say(Accepted(task_id, EPOCH, f"{task_id}-1"))
        return task_id

    async def said(self, task_id: TaskId) -> list[str]:
        """The messages of all system logs, in order."""
        told = await self.database.events_of(task_id, after=0, limit=10_000)
        return [one.event.message for one in told if isinstance(one.event, Logged)]

    async def until_state(self, task_id: TaskId, *states: State) -> Task:
        async def there() -> bool:
            return (await self.see(task_id)).state in states

        await self.until(there)
        return await self.see(task_id)

    async def until_attempt(self, task_id: TaskId, fence: int) -> None:
        async def there() -> bool:
            return (await self.database.progress(task_id)).fence == fence

        await self.until(there)

    async def until_holding(self, attendance: Attendance, attempts: int) -> None:
        async def so() -> bool:
            return attendance.holding == attempts

        await self.until(so)


def notes(task_id: TaskId, first: int, *texts: str) -> Batch:
    events = tuple(logged(task_id, text) for text in texts)
    return Batch(task_id=task_id, events=events, fence=1, first=first)


def silent(given: Given, seconds: float) -> None:
    """As if its worker had not been heard of for so long."""
    given.hold.lease.heard -= seconds
