"""Tasks in a database, of which a test says by hand what happens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from funnel.core.event import Batch, StateChanged
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.testing.build import EPOCH, EVERYONE

PATIENCE = 20.0


class ByHand:
    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database

    async def say(self, *events: Any, fence: int | None = None) -> None:
        await self.database.append(Batch(task_id=events[0].task_id, events=events, fence=fence))

    async def cancel(self, task_id: TaskId) -> None:
        await self.say(StateChanged(task_id, EPOCH, State.CANCELED))

    async def see(self, task_id: TaskId) -> Task:
        return await self.database.get(task_id, View.FULL, EVERYONE)

    async def until(self, happens: Callable[[], Awaitable[object]]) -> None:
        """Look again after each commit, and now and then, until it is so."""
        seen = 0
        async with asyncio.timeout(PATIENCE):
            while not await happens():
                seen = await self.database.wait(seen, within=timedelta(milliseconds=20))
