"""An attempt whose server is elsewhere: what `ports.Record` asks, over one connection at a time."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from dataclasses import replace as replace_field
from functools import partial
from itertools import islice
from math import inf
from typing import Final

from msgspec.structs import replace

from funnel.core.attempts import asked
from funnel.core.backoff import delays
from funnel.core.error import (
    Fenced,
    FunnelError,
    Gap,
    InvalidTransition,
    NotFound,
    TooLarge,
    Unavailable,
)
from funnel.core.event import Batch, Created
from funnel.core.fold import Progress, extend
from funnel.core.lease import Standing, Terms, keeps
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.core.view import bare
from funnel.link.call import Call, Server, dial, error_of
from funnel.link.unsaid import Unsaid
from funnel.wire.attempt import LARGEST, PROTOCOL, read_assignment, written
from funnel.wire.gen import worker_pb2 as pb

log = logging.getLogger(__name__)

SMALLEST: Final = 1 << 10
BIGGEST: Final = 256 << 10
"""Bytes of a frame: as many as the connection carries in a moment, so that no lease runs out."""
MOMENT: Final = 0.25
SILENT: Final = 2 / 3
"""The share of a lease after which a connection on which no answer comes is given up."""
LOOK: Final = 5.0
"""Seconds for which who asks how far the attempt has come waits for what is under way."""
OVER: Final = frozenset({pb.FENCED, pb.ENDED, pb.GONE})


@dataclass(frozen=True, slots=True)
class Saying:
    """A batch that is to be kept, and who waits for that."""

    batch: Batch
    kept: asyncio.Future[Progress]

    @property
    def last(self) -> int:
        return self.batch.first + len(self.batch.events) - 1


class Link:
    """
    Answers `ports.Record` for one attempt of one task.

    What has a number is on this machine's disk, if that takes it, before it is sent, and is sent
    until it is acknowledged, over as many connections as that takes. `pauses` are seconds between
    tries to reach the server; before the first answer there are no more than `tries`.
    """

    def __init__(
        self,
        server: Server,
        hello: pb.Hello,
        unsaid: Callable[[int], Unsaid],
        *,
        tries: int,
        pause: Callable[[float], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._hello = hello
        self._open = unsaid
        self._unsaid: Unsaid | None = None
        self._tries = tries
        self._pause = pause
        self._clock = clock
        self._task_id = TaskId(hello.task_id)
        self.database = ""
        """Names where the server keeps the task, once it has said so."""
        self._assigned: tuple[Created, Progress] | None = None
        self._terms = Terms()
        self._heard = clock()
        self._keeps = False
        self._size = SMALLEST
        self._saying: Saying | None = None
        self._is_deaf = False
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._answered = asyncio.Event()
        self._ended: asyncio.Future[FunnelError] = asyncio.get_running_loop().create_future()

    @property
    def fence(self) -> int:
        return self._known[1].fence

    @property
    def task(self) -> Task:
        """As far as the server has acknowledged it."""
        return bare(*self._known)

    @property
    def _known(self) -> tuple[Created, Progress]:
        if self._assigned is None:
            raise Unavailable("the server has not been reached yet")
        return self._assigned

    async def created(self, _task_id: TaskId) -> Created:
        return self._known[0]

    async def progress(self, _task_id: TaskId) -> Progress:
        """As far as the server has acknowledged it; what is under way is waited for a little."""
        try:
            async with asyncio.timeout(LOOK), self._turn:
                if self._ended.done() and isinstance(self._ended.result(), NotFound):
                    raise self._ended.result()
                return self._known[1]
        except TimeoutError as error:
            raise Unavailable("the server is out of reach") from error

    async def append(self, batch: Batch) -> Progress:
        """Who is cancelled meanwhile has said it all the same."""
        delivering = asyncio.ensure_future(self._deliver(batch))
        delivering.add_done_callback(_seen)
        return await asyncio.shield(delivering)

    async def over(self) -> FunnelError:
        """Why the attempt is not ours any more, as soon as that is so."""
        return await asyncio.shield(self._ended)

    async def authority(self) -> None:
        """Return when the attempt is surely ours. Raises `Fenced` and the like when it is not."""
        while self._standing() is not Standing.HOLDS:
            self._refuse_when_over()
            await self._answered.wait()
        self._refuse_when_over()

    async def until_assigned(self) -> None:
        """What a worker before us has left unsaid is said by then. Raises as `over` would."""
        while self._assigned is None:
            self._refuse_when_over()
            await self._answered.wait()
        self._unsaid = await asyncio.to_thread(self._open, self.fence)
        for batch in await asyncio.to_thread(self._unsaid.left):
            await self._say_after_all(batch)
        await asyncio.to_thread(self._unsaid.forget)

    async def forever(self) -> None:
        """Be connected, until the attempt is over. Raises where the server is never reached."""
        tries = 0
        while not self._ended.done():
            before = self._heard
            try:
                await self._connected()
            except FunnelError as error:
                tries = 1 if self._heard > before else tries + 1
                in_vain = tries > self._tries or not isinstance(error, Unavailable)
                if self._assigned is None and in_vain and not self._ended.done():
                    raise
                log.warning("%s is out of reach: %s", self._server.address, error)
            self._lose_unnumbered()
            longest = next(islice(delays(first=0.2, most=self._terms.renewal), tries - 1, None))
            await asyncio.sleep(0 if self._ended.done() else self._pause(longest))
        self._is_deaf = True

    async def watch(self) -> None:
        """End the attempt when nothing has been heard of the server for too long."""
        while not self._ended.done():
            patience = self._terms.patience(keeps=self._keeps)
            silence = self._clock() - self._heard
            if self._standing() is Standing.LOST:
                self._end(Fenced(f"the server has not been heard of for {silence:.0f} s"))
                return
            await asyncio.sleep(min(max(patience - silence, 0.01), self._terms.renewal))

    def close(self) -> None:
        if self._unsaid:
            self._unsaid.close()

    async def _connected(self) -> None:
        async with dial(self._server, self._told) as call:
            listening = asyncio.ensure_future(call.listen())
            speaking = asyncio.ensure_future(self._speak(call))
            try:
                await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                listening.cancel()
                speaking.cancel()
                await asyncio.gather(listening, speaking, return_exceptions=True)
        for one in (speaking, listening):
            if not one.cancelled():
                one.result()

    async def _say_after_all(self, batch: Batch) -> None:
        with suppress(Fenced, InvalidTransition, NotFound, Gap):
            while True:
                try:
                    await self.append(batch)
                except Unavailable:
                    await asyncio.sleep(self._pause(self._terms.renewal))
                else:
                    return

    async def _deliver(self, batch: Batch) -> Progress:
        async with self._turn:
            self._refuse_when_over(batch)
            if batch.first and self._unsaid:
                await self._on_disk(partial(self._unsaid.keep, batch))
            self._saying = saying = Saying(batch, asyncio.get_running_loop().create_future())
            self._news.set()
            progress = await saying.kept
            if batch.first and self._unsaid:
                await self._on_disk(self._unsaid.forget)
            return progress

    async def _on_disk(self, do: Callable[[], None]) -> None:
        """
        If that fails, the batch is in memory alone, and is said from there all the same.

        Should this worker die too before the server has it, the next one finds in the engine what
        a container has done: none is removed before its end is acknowledged.
        """
        try:
            await asyncio.to_thread(do)
        except OSError as error:
            log.warning("what is said of %s is in memory only: %s", self._task_id, error.strerror)

    async def _speak(self, call: Call) -> None:
        await self._begin(call)
        while True:
            if saying := self._saying:
                self._hear(saying, await self._said(call, saying))
                continue
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._terms.renewal):
                    await self._news.wait()
            if self._saying is None:
                await self._ask(call, pb.Report())

    async def _begin(self, call: Call) -> None:
        sent = self._clock()
        self._hello.protocol = PROTOCOL
        patience = self._server.timeout
        if self._assigned:
            patience = min(patience or inf, self._terms.lease * SILENT)
        order = await call.ask(pb.Report(hello=self._hello), patience)
        if order.HasField("refused"):
            self._told(order.refused)
            raise error_of(order.refused)
        self._refuse_when_over()
        self._take_token(order)
        created, progress = read_assignment(order.assigned.created, order.assigned.progress)
        self.database = order.assigned.database
        self._terms = Terms(lease=order.assigned.lease, grace=order.assigned.grace)
        self._hello.fence = progress.fence
        self._assigned = created, progress
        self._note(created, progress)
        self._renewed(sent)
        if (saying := self._saying) and 0 < saying.last <= progress.heard:
            self._settle(saying, progress)

    async def _ask(self, call: Call, report: pb.Report) -> pb.Order:
        sent = self._clock()
        order = await call.ask(report, self._terms.lease * SILENT)
        self._take_token(order)
        took = self._clock() - sent
        self._size = (
            min(self._size * 2, BIGGEST) if took < MOMENT else max(self._size // 2, SMALLEST)
        )
        self._renewed(sent)
        return order

    def _take_token(self, order: pb.Order) -> None:
        """For the next connection, by which the one before may be over."""
        if order.token:
            shown = (("authorization", f"Bearer {order.token}"),)
            self._server = replace_field(self._server, metadata=shown)

    async def _said(self, call: Call, saying: Saying) -> pb.Order:
        body, start = written(saying.batch.events), 0
        if len(body) > LARGEST:
            self._fail(saying, TooLarge(f"{len(body)} bytes of events at once are too many"))
            return pb.Order()
        while True:
            end = start + self._size
            frame = pb.Frame(first=saying.batch.first, events=body[start:end], more=end < len(body))
            order = await self._ask(call, pb.Report(frame=frame))
            if not frame.more or order.HasField("refused"):
                return order
            start = end

    def _hear(self, saying: Saying, order: pb.Order) -> None:
        if order.HasField("refused"):
            self._told(order.refused)
            self._fail(saying, error_of(order.refused))
        elif order.HasField("kept"):
            created, before = self._known
            progress, _ = extend(before, saying.batch)
            self._assigned = created, progress
            self._note(created, progress)
            self._settle(saying, progress)

    def _note(self, created: Created, progress: Progress) -> None:
        wanted = asked(created.spec.resources.backend_parameters)
        self._keeps = keeps(progress.logs[-1], wanted)

    def _told(self, refused: pb.Refused) -> None:
        """Whether asked or not: where the attempt is over, it is over for all that is under way."""
        if refused.reason in OVER:
            if refused.state and self._assigned:
                created, progress = self._assigned
                self._assigned = created, replace(progress, state=State(refused.state))
            self._end(error_of(refused))

    def _end(self, why: FunnelError) -> None:
        if self._ended.done():
            return
        self._ended.set_result(why)
        if isinstance(why, Fenced) and self._assigned:
            created, progress = self._assigned
            self._assigned = created, replace(progress, fence=progress.fence + 1)
        if (saying := self._saying) and saying.batch.first:
            self._fail(saying, why)
        self._wake()

    def _settle(self, saying: Saying, progress: Progress) -> None:
        self._saying = None
        if not saying.kept.done():
            saying.kept.set_result(progress)

    def _fail(self, saying: Saying, error: FunnelError) -> None:
        self._saying = None
        if not saying.kept.done():
            saying.kept.set_exception(error)

    def _lose_unnumbered(self) -> None:
        """Nobody can know whether it was kept, and said twice it would be there twice."""
        if (saying := self._saying) and not saying.batch.first:
            self._fail(saying, Unavailable("the connection broke"))

    def _refuse_when_over(self, batch: Batch | None = None) -> None:
        if self._ended.done() and (batch is None or batch.first or self._is_deaf):
            raise self._ended.result()

    def _standing(self) -> Standing:
        return self._terms.standing(self._clock() - self._heard, keeps=self._keeps)

    def _renewed(self, sent: float) -> None:
        self._heard = sent
        self._wake()

    def _wake(self) -> None:
        self._answered.set()
        self._answered.clear()


@asynccontextmanager
async def linked(link: Link) -> AsyncGenerator[Link]:
    """Connected; what cannot be reached or is refused at the beginning is raised."""
    connected = asyncio.create_task(link.forever())
    ready = asyncio.create_task(link.until_assigned())
    watching: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({connected, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await connected
        await ready
        watching = asyncio.create_task(link.watch())
        yield link
    finally:
        working = [one for one in (connected, ready, watching) if one]
        for one in working:
            one.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await asyncio.to_thread(link.close)


def _seen(done: asyncio.Future[Progress]) -> None:
    """Nobody may wait for it any more."""
    if not done.cancelled():
        done.exception()
