"""Doing the work of the outbox: handing attempts to the backend, and taking them back."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeAlias

from funnel.core.backoff import delays
from funnel.core.error import FunnelError
from funnel.core.event import Accepted, Batch, Change, Level, Logged, StateChanged
from funnel.core.state import State, is_final
from funnel.core.work import Cancel, Claim, Done
from funnel.metrics import Metrics
from funnel.net.jitter import chance, jittered
from funnel.ports import Accept, Answer, Attempt, Backend, Clock, Database, Job, Refuse

_Wanted: TypeAlias = tuple[Claim, Attempt]

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
LOOK_AGAIN = timedelta(seconds=1)
ROUND = 0.005
"""Seconds from one round to the next at least, so that what comes one by one is done together."""


class Dispatch:
    """`jitter` gives numbers from 0 to 1."""

    def __init__(
        self,
        database: Database,
        backend: Backend,
        queue: str,
        now: Clock,
        metrics: Metrics,
        *,
        jitter: Callable[[], float] = chance,
    ) -> None:
        self._jitter = jitter
        self._database = database
        self._metrics = metrics
        self._backend = backend
        self.queue = queue
        self._now = now
        self._promised: deque[Attempt] = deque()
        """On disk as accepted, and not handed over yet."""

    @property
    def parameters(self) -> frozenset[str]:
        return self._backend.parameters

    def promise(self, attempt: Attempt) -> Accept | None:
        return self._backend.promise(attempt)

    def take(self, attempt: Attempt) -> None:
        self._promised.append(attempt)

    async def forever(self) -> None:
        """First take up what a server before us left, then do the work as it comes."""
        tries, resumed, seen, due = 0, False, 0, 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if not resumed:
                    await self.resume()
                resumed = True
                if (early := due - clock()) > 0:
                    await asyncio.sleep(early)
                due = clock() + ROUND
                if not await self.once():
                    seen = await self._database.wait(seen, within=LOOK_AGAIN)
            except Exception:
                log.exception("dispatch to %s must wait", self.queue)
                tries += 1
                await asyncio.sleep(self._after(tries).total_seconds())
            else:
                tries = 0

    async def once(self, *, limit: int = 100) -> int:
        """
        One round: each claimed errand is done, refused for good, or given back for later.

        What was promised goes first, so that a cancel of it comes after it.
        """
        claims = await self._database.claim(self.queue, limit=limit, lease=LEASE)
        promised = [self._promised.popleft() for _ in range(min(limit, len(self._promised)))]
        if promised:
            await self._hand_over(promised)
        wanted, others = list[_Wanted](), list[Claim]()
        for claim in claims:
            if attempt := _attempt(claim):
                wanted.append((claim, attempt))
            else:
                others.append(claim)
        if others:
            await asyncio.gather(self._submit(wanted), self._cancel(others))
        else:
            await self._submit(wanted)
        return len(claims) + len(promised)

    async def resume(self) -> None:
        left = await self._database.unfinished(self.queue)
        jobs = [Job(one.task_id, one.fence, one.native_id) for one in left]
        if jobs:
            log.info("taking up %d attempts of the server before", len(jobs))
            await self._backend.resume(jobs)

    async def _hand_over(self, promised: Sequence[Attempt]) -> None:
        """What could not be is in memory for later, and on disk for the next start."""
        try:
            answers = await self._backend.submit(promised)
        except Exception as error:
            if len(promised) > 1:
                for one in promised:
                    await self._hand_over([one])
                return
            (one,) = promised
            log.warning("%s must wait", one.task_id, exc_info=error)
            self._metrics.dispatched(self.queue, "submit", "unknown")
            pause = jittered(LOOK_AGAIN.total_seconds(), self._jitter())
            asyncio.get_running_loop().call_later(pause, self.take, one)
            return
        self._metrics.dispatched(self.queue, "submit", "done", len(answers))
        for one, answer in zip(promised, answers, strict=True):
            if isinstance(answer, Refuse):
                await self._database.append(_facts(one, answer, self._now()))

    async def _submit(self, wanted: Sequence[_Wanted]) -> None:
        if not wanted:
            return
        try:
            answers = await self._backend.submit([one for _, one in wanted])
        except (FunnelError, OSError) as error:
            await self._put_back([claim for claim, _ in wanted], error)
            return
        except Exception as error:
            log.exception("submitting %d attempts to %s failed", len(wanted), self.queue)
            await self._one_by_one(wanted, error)
            return
        refused = sum(isinstance(answer, Refuse) for answer in answers)
        self._metrics.dispatched(self.queue, "submit", "refused", refused)
        self._metrics.dispatched(self.queue, "submit", "done", len(answers) - refused)
        now = self._now()
        await self._settle(
            [
                Done(claim, _facts(one, answer, now))
                for (claim, one), answer in zip(wanted, answers, strict=True)
            ]
        )

    async def _one_by_one(self, wanted: Sequence[_Wanted], error: Exception) -> None:
        """One that the backend stumbles over must not hold up the others."""
        if len(wanted) == 1:
            await self._put_back([claim for claim, _ in wanted], error)
            return
        for one in wanted:
            await self._submit([one])

    async def _cancel(self, claims: Sequence[Claim]) -> None:
        jobs = [one for claim in claims if (one := _job(claim))]
        try:
            if jobs:
                await self._backend.cancel(jobs)
        except (FunnelError, OSError) as error:
            await self._put_back(claims, error)
            return
        self._metrics.dispatched(self.queue, "cancel", "done", len(jobs))
        await self._settle([Done(claim) for claim in claims])

    async def _settle(self, done: Sequence[Done]) -> None:
        try:
            answers = await self._database.settle(done)
        except (FunnelError, OSError) as error:
            await self._put_back([one.claim for one in done], error)
            return
        except Exception as error:
            log.exception("%d errands cannot be settled", len(done))
            if len(done) == 1:
                await self._put_back([one.claim for one in done], error)
                return
            # One that the database stumbles over must not hold up the others.
            for one in done:
                await self._settle([one])
            return
        for one, refusal in zip(done, answers, strict=True):
            if refusal:
                await self._put_back([one.claim], refusal)

    async def _put_back(self, claims: Sequence[Claim], error: Exception) -> None:
        for claim in claims:
            log.warning("%s must wait: %s", claim.work, error)
            kind = type(claim.work).__name__.lower()
            self._metrics.dispatched(self.queue, kind, "unknown")
            await self._database.release(claim, after=self._after(claim.tries))

    def _after(self, tries: int) -> timedelta:
        """Longer with each try, 1 the first, and not the same for all."""
        longest = next(islice(delays(), tries - 1, None))
        return timedelta(seconds=jittered(longest, self._jitter()))


def _facts(one: Attempt, answer: Answer, now: datetime) -> Batch:
    task_id = one.task_id
    facts: tuple[Change, ...] = (
        (Accepted(task_id, now, answer.native_id),)
        if isinstance(answer, Accept)
        else (
            Logged(task_id, now, "System error", Level.ERROR, {"error": answer.reason}),
            StateChanged(task_id, now, State.SYSTEM_ERROR),
        )
    )
    return Batch(task_id=task_id, events=facts, fence=one.fence)


def _job(claim: Claim) -> Job | None:
    """
    What to cancel; None where there was nothing.

    Of what need no longer be submitted too: a server may have died after it had, and its worker
    left a container that nobody would ask for any more.
    """
    work = claim.work
    if isinstance(work, Cancel):
        return Job(work.task_id, work.fence, work.native_id)
    return Job(work.task_id, work.fence, "") if claim.progress else None


def _attempt(claim: Claim) -> Attempt | None:
    """
    What to submit; None where that is no longer wanted.

    An attempt that has begun is submitted again, since nobody may have noted that it was.
    """
    progress, spec = claim.progress, claim.spec
    if isinstance(claim.work, Cancel):
        return None
    if progress is None or spec is None:
        # Cancelled and deleted before anybody came to it.
        return None
    if is_final(progress.state) or progress.fence != claim.work.fence:
        return None
    return Attempt(progress.task_id, progress.fence, spec)
