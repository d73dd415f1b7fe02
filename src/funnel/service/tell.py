"""Telling those who watch tasks what happens, while it happens."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from funnel.core.event import Recorded
from funnel.core.output import Mark, Piece, unread
from funnel.core.query import Scope, View
from funnel.core.state import State, is_final
from funnel.core.task import TaskId
from funnel.ports import Live, Tasks
from funnel.service.hub import ALL, Hub

PAGE: Final = 200
"""Events that are read at once."""
BEAT: Final = 15.0
"""Seconds without news, after which we say that we are still there, and look again."""
BREATH: Final = 0.05
"""Seconds between looks at all tasks, so that many commits are read together."""


class Source(Tasks, Live, Protocol):
    """What is told of."""


@dataclass(frozen=True, slots=True)
class Told:
    """
    `mark` is the place to go on from.

    A state says that the task has ended in it, and None that there was no news for a while.
    """

    mark: Mark
    what: Recorded | Piece | State | None


class Teller:
    """Reads no faster than it is listened to, so nothing gathers for who is slow."""

    def __init__(self, source: Source, hub: Hub) -> None:
        self._source = source
        self._hub = hub

    async def until(
        self, task_id: TaskId, scope: Scope, states: Collection[State], seconds: float
    ) -> None:
        """Return when the task is in one of the states or final, or time is up."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        with self._hub.watch(task_id) as watch:
            while True:
                state = (await self._source.get(task_id, View.MINIMAL, scope)).state
                left = end - clock()
                if state in states or is_final(state) or left <= 0 or watch.over:
                    return
                await watch.news(min(left, BEAT))

    async def of_task(self, task_id: TaskId, mark: Mark) -> AsyncGenerator[Told]:
        """
        Its events, and its output where the mark has a place, until it has ended.

        What an executor printed comes before the event that says how it exited. Where there
        is nothing new at first, that is said at once.
        """
        with self._hub.watch(task_id) as watch:
            woken = False
            while not watch.over:
                state = (await self._source.progress(task_id)).state
                news, more = await self._news(task_id, mark)
                for one in news:
                    mark = one.mark
                    yield one
                if more:
                    continue
                if is_final(state):
                    yield Told(mark, state)
                    return
                if not news and not woken:
                    yield Told(mark, None)
                woken = await watch.news(BEAT)

    async def of_all(self, scope: Scope, position: int) -> AsyncGenerator[Told]:
        """The events after a position, of all tasks that may be seen, for ever."""
        with self._hub.watch(ALL) as watch:
            woken = False
            while not watch.over:
                events, last = await self._source.events(scope, after=position, limit=PAGE)
                for one in events:
                    yield Told(Mark(one.position), one)
                if last > position:
                    position = last
                    await asyncio.sleep(0 if len(events) == PAGE else BREATH)
                    continue
                if not woken:
                    yield Told(Mark(position), None)
                woken = await watch.news(BEAT)

    async def _news(self, task_id: TaskId, mark: Mark) -> tuple[Sequence[Told], bool]:
        """What is new behind the mark, and whether there may be more of it."""
        events = await self._source.events_of(task_id, after=mark.position, limit=PAGE)
        news, place = list[Told](), mark.place
        if place:
            for piece, behind in unread(place, await self._source.printed(task_id, place)):
                place = behind
                news.append(Told(Mark(mark.position, place), piece))
        news += (Told(Mark(one.position, place), one) for one in events)
        return news, len(events) == PAGE
