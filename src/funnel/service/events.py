"""Hearing what the reference's own workers tell, who number nothing and say some things twice."""

from typing import Protocol

from funnel.core.access import Caller, Kind, Operation, demand
from funnel.core.event import Batch, Change, Printed
from funnel.core.output import Place, rest
from funnel.core.told import Tail, Told, continued, is_news, timed
from funnel.ports import Live, Tasks
from funnel.service.audit import demand_its_attempt


class Known(Tasks, Live, Protocol):
    """Where events are kept, and output is read."""


class EventService:
    def __init__(self, known: Known) -> None:
        self._known = known

    async def write(self, told: Told, caller: Caller) -> None:
        """
        Keep what is news; it is on disk on return.

        A worker speaks for the attempt it was let in for, whatever it calls it. Raises
        `NotFound`, `Denied`, `Fenced` for an attempt that is over, and `InvalidTransition`.
        """
        demand(caller, Operation.WRITE_EVENT)
        fence = caller.fence if caller.kind is Kind.WORKER else told.attempt + 1
        demand_its_attempt(caller, told.task_id, fence)
        change = await self._change(told, fence)
        if change:
            await self._known.append(Batch(task_id=told.task_id, events=(change,), fence=fence))

    async def _change(self, told: Told, fence: int) -> Change | None:
        progress = await self._known.progress(told.task_id)
        if isinstance(told.what, Tail):
            return await self._printed(told, told.what, fence)
        if told.what is None:
            return None
        what = timed(progress, told.what)
        return what if is_news(progress, what) else None

    async def _printed(self, told: Told, tail: Tail, fence: int) -> Printed | None:
        """The next piece of the output; it alone is shown where nothing of it was shown before."""
        pieces = await self._known.printed(told.task_id, Place(fence, tail.index))
        before, end = "", 0
        for piece in pieces:
            if (piece.attempt, piece.executor, piece.stream) == (fence, tail.index, tail.stream):
                before, end = before + rest(piece.text, piece.start, end), piece.end
        news = continued(before, tail.text)
        if not news:
            return None
        return Printed(
            told.task_id,
            told.at,
            tail.index,
            tail.stream,
            end,
            end + len(news.encode()),
            news,
            len(tail.text.encode()),
        )
