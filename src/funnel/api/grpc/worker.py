"""The door for workers that are away from the server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from grpc import aio

from funnel.core.access import Caller, Kind
from funnel.core.error import Denied, Fenced, FunnelError, Gap, Invalid, InvalidTransition, NotFound
from funnel.core.task import TaskId
from funnel.service.attendance import TOKEN_LASTS, Attendance
from funnel.service.hold import Given, Hold
from funnel.together import first_of
from funnel.wire.attempt import LARGEST, PROTOCOL, read_events, written
from funnel.wire.gen import worker_pb2 as pb

log = logging.getLogger(__name__)

Context: TypeAlias = aio.ServicerContext[pb.Report, pb.Order]
Reports: TypeAlias = AsyncIterator[pb.Report]

FIRST: Final = 10.0
"""Seconds for the first report to arrive."""
LONGEST: Final = 256
"""Characters of what a worker calls itself."""
REASONS: Final[Mapping[type[FunnelError], "pb.Reason.ValueType"]] = {
    Fenced: pb.FENCED,
    InvalidTransition: pb.ENDED,
    NotFound: pb.GONE,
    Denied: pb.DENIED,
    Gap: pb.GAP,
    Invalid: pb.INVALID,
}


class WorkerServicer:
    """`caller` says who makes the call that is being answered."""

    def __init__(self, attendance: Attendance, caller: Callable[[], Caller]) -> None:
        self._attendance = attendance
        self._caller = caller

    async def Work(self, request_iterator: Any, context: Any) -> None:
        """Until the worker goes, or has been told that its attempt is over and is silent."""
        caller = self._caller()
        reports: Reports = aiter(request_iterator)
        connection = Connection(context, self._badge(caller))
        first = await _next(reports, FIRST)
        if first is None:
            return
        try:
            given = await self._taken(caller, first.hello)
        except (FunnelError, OSError) as error:
            await connection.answer(first.number, refused=_refused(error))
            return
        terms = self._attendance.terms
        assigned = pb.Assigned(
            created=written(given.created),
            progress=written(given.progress),
            lease=terms.lease,
            grace=terms.grace,
            database=self._attendance.database,
        )
        hold = given.hold
        del first, given
        await connection.answer(1, assigned=assigned)
        del assigned
        await first_of(connection.serve(reports, hold, terms.lease), connection.tell_over(hold))

    def _badge(self, caller: Caller) -> Callable[[], str] | None:
        """What makes another token, for a worker that has shown one."""
        if self._attendance.token is None or caller.kind is not Kind.WORKER:
            return None
        return partial(self._attendance.token, caller.task_id, caller.fence)

    async def _taken(self, caller: Caller, hello: pb.Hello) -> Given:
        if hello.protocol != PROTOCOL:
            raise Invalid(f"this server speaks protocol {PROTOCOL}, not {hello.protocol}")
        if not hello.holder or len(hello.holder) > LONGEST:
            raise Invalid(f"a worker's name has 1 to {LONGEST} characters")
        return await self._attendance.take(caller, TaskId(hello.task_id), hello.fence, hello.holder)


class Connection:
    """What is sent to one worker, one thing after the other."""

    def __init__(self, context: Context, badge: Callable[[], str] | None) -> None:
        self._context = context
        self._badge = badge
        self._due = 0.0
        self._turn = asyncio.Lock()

    async def answer(self, number: int, **what: Any) -> None:
        async with self._turn:
            if self._badge and "refused" not in what and time.monotonic() >= self._due:
                what["token"] = self._badge()
                self._due = time.monotonic() + TOKEN_LASTS.total_seconds() / 2
            await self._context.write(pb.Order(number=number, **what))

    async def serve(self, reports: Reports, hold: Hold, patience: float) -> None:
        """Answer each report; return when none comes for longer than a lease, or ever again."""
        events = bytearray()
        while report := await _next(reports, 2 * patience):
            hold.lease.hear()
            frame = report.frame
            events += frame.events
            if not report.HasField("frame") or (frame.more and len(events) <= LARGEST):
                await self.answer(report.number)
                continue
            body, events = bytes(events), bytearray()
            await self._keep(report.number, hold, body, frame.first)

    async def tell_over(self, hold: Hold) -> None:
        """The worker may still have a last word, so this never returns."""
        why = await hold.over()
        await self.answer(0, refused=_refused(why, await hold.state()))
        await asyncio.Event().wait()

    async def _keep(self, number: int, hold: Hold, body: bytes, first: int) -> None:
        try:
            if len(body) > LARGEST:
                raise Invalid(f"{LARGEST} bytes of events at once are the most")
            heard = await hold.append(read_events(body), first)
        except InvalidTransition as error:
            await self.answer(number, refused=_refused(error, await hold.state()))
        except (FunnelError, OSError) as error:
            await self.answer(number, refused=_refused(error))
        else:
            hold.lease.hear()
            await self.answer(number, kept=pb.Kept(heard=heard))


def _refused(error: Exception, state: str | None = None) -> pb.Refused:
    reason = next((one for kind, one in REASONS.items() if isinstance(error, kind)), pb.LATER)
    return pb.Refused(reason=reason, message=str(error), state=state or "")


async def _next(reports: Reports, within: float) -> pb.Report | None:
    """None where no other comes in so many seconds."""
    with suppress(TimeoutError, StopAsyncIteration):
        async with asyncio.timeout(within):
            return await anext(reports)
    return None
