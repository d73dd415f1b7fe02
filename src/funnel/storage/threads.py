"""Work on files, which blocks, in threads."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import inf
from threading import Event
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from funnel.core.error import FunnelError

T = TypeVar("T")

LANES: Final = 4
"""Threads that do what is brief."""
SLOW: Final = 0.02
"""Seconds that something brief waits until another thread helps."""
QUICK: Final = 0.005
"""Seconds that something brief may keep a loop which has nothing else to do."""
PAUSE: Final = 1.0
"""Seconds until such a loop, which something has kept for longer, does things itself again."""
PAUSES: Final = 20
"""Times longer than that something at least, or a slow disk would have most of the loop's time."""


async def to_the_end(work: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
    """
    Do it in a thread. A caller who is cancelled goes on only when the work has ended.

    So nothing is closed that a thread still uses; `stop` may tell the work to end early.
    """
    working = asyncio.get_running_loop().run_in_executor(None, work)
    await ended(working, stop)
    return working.result()


async def ended(working: asyncio.Future[T], stop: Callable[[], object] = lambda: None) -> None:
    """Wait for it; who is cancelled meanwhile, however often, hears of it only then."""
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as word:
            cancelled = word
            stop()
    # Nobody else may ask how it ended.
    _ = working.cancelled() or working.exception()
    if cancelled:
        raise cancelled


async def briefly(work: Callable[[], T]) -> T:
    """
    As `to_the_end`, for what takes well under a millisecond: one thread does much of it.

    A thread for each, woken and waited for, would cost more than the work, and all of them would
    wait for the interpreter in turns.
    """
    loop = asyncio.get_running_loop()
    lanes = _lanes_of(loop)
    if lanes.are_spared():
        return lanes.do_here(work)
    job = _Job(work)
    lanes.add(job)
    cancelled: asyncio.CancelledError | None = None
    while not job.is_done:
        job.turn = loop.create_future()
        try:
            await job.turn
        except asyncio.CancelledError as word:
            cancelled = word
    if cancelled:
        raise cancelled
    return job.result()


def spare_threads() -> None:
    """
    From now on the running loop does what is brief itself, while that is quick.

    For one that does nothing but move files, so that nobody else is kept waiting: a thread has to
    win the interpreter back after each system call, which takes longer than the calls.
    """
    _lanes_of(asyncio.get_running_loop()).spared_from = 0.0


class _Job(Generic[T]):
    """Done in a thread, and then heard of in the loop."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.is_done = False
        self.turn: asyncio.Future[None] | None = None
        self._work = work
        self._found: list[T] = []
        self._failure: BaseException | None = None

    def do(self) -> None:
        with self:
            self._found.append(self._work())

    def __enter__(self) -> None:
        """Around the work, whose failure is raised by `result`."""

    def __exit__(self, _: object, failure: BaseException | None, __: object) -> bool:
        self._failure = failure
        return True

    def heard(self) -> None:
        self.is_done = True
        if self.turn and not self.turn.done():
            self.turn.set_result(None)

    def result(self) -> T:
        if self._failure:
            raise self._failure
        return self._found[0]


class _Lanes:
    """Threads of one loop; a further one only where what waits does not move."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = 0
        self.spared_from = inf
        """When the loop begins to do things itself."""
        self._waiting = deque[tuple[_Job[Any], float]]()
        self._done = deque[_Job[Any]]()

    def are_spared(self) -> bool:
        return self.spared_from <= time.monotonic()

    def do_here(self, work: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return work()
        finally:
            ended = time.monotonic()
            if (took := ended - began) > QUICK:
                self.spared_from = ended + max(PAUSE, PAUSES * took)

    def add(self, job: "_Job[Any]") -> None:
        self._waiting.append((job, self._loop.time()))
        if not self._threads or (self._threads < LANES and self._is_slow()):
            self._begin()

    def _is_slow(self) -> bool:
        try:
            _, since = self._waiting[0]
        except IndexError:  # A thread was quicker: it has even the newest.
            return False
        return self._loop.time() - since > SLOW

    def _begin(self) -> None:
        self._threads += 1
        self._loop.run_in_executor(None, self._work).add_done_callback(self._ended)

    def _ended(self, _: asyncio.Future[None]) -> None:
        self._threads -= 1
        if self._waiting and not self._threads:
            self._begin()

    def _work(self) -> None:
        """In a thread."""
        while self._waiting:
            try:
                job, _ = self._waiting.popleft()
            except IndexError:
                break
            job.do()
            self._done.append(job)
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._done:
            self._done.popleft().heard()


def _lanes_of(loop: asyncio.AbstractEventLoop) -> _Lanes:
    lanes = _LANES.get(loop)
    if lanes is None:
        lanes = _LANES[loop] = _Lanes(loop)
    return lanes


_LANES: Final = WeakKeyDictionary[asyncio.AbstractEventLoop, _Lanes]()


async def until_stopped(work: Callable[[Callable[[], None]], T]) -> T:
    """
    Work in a thread; when this is cancelled, the work stops before it is waited for no more.

    It stops where it calls what it is given.
    """
    stop = Event()

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    return await to_the_end(lambda: work(check), stop.set)


class _Stopped(FunnelError):
    """Nobody waits for this file any more."""
