"""How often and how long a store is asked."""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from funnel.core.backoff import delays
from funnel.core.error import Unavailable
from funnel.core.value import Value
from funnel.net.jitter import chance, jittered

T = TypeVar("T")

FLOOR: Final = 1024
"""Bytes a second; a connection that is slower for long is given up."""
OFTEN: Final = 100
"""Times in a stall that its end is put off."""
LONGEST_WAIT: Final = 300.0
"""Seconds that a store may ask us to wait."""
SOON: Final = 10.0
"""Seconds that a person waits for who has never answered: a port may be mistyped."""
SELDOM: Final = 5.0
"""Seconds between what a person is told."""
NOBODY: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


class Changed(Unavailable):
    """The object is another one than when the download began, which has to begin anew."""


class Watch:
    """Gives a connection up that moves fewer bytes than `FLOOR` for `stall` seconds."""

    def __init__(self, url: str, stall: float) -> None:
        self._url = url
        self._stall = stall
        self._since = 0
        self._next = 0.0
        self._limit: asyncio.Timeout | None = None

    def add(self, count: int) -> None:
        self._since += count
        if self._since >= FLOOR * self._stall:
            self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self._since = 0
        now = asyncio.get_running_loop().time()
        # Each time costs something, and a list has a million names.
        if now >= self._next:
            self._next = now + self._stall / OFTEN
            self._end_at(now + self._stall)

    def pause(self) -> None:
        """Until it is `reset`."""
        self._next = 0.0
        self._end_at(None)

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Raises `Unavailable`."""
        self._since, self._next = 0, 0.0
        before = _WATCH.get()
        _WATCH.set(self)
        try:
            async with asyncio.timeout(self._stall) as self._limit:
                yield
        except TimeoutError as error:
            raise Unavailable(
                f"{self._url}: {self._since} bytes in {self._stall:g} s;"
                " the store or the line to it is stuck"
            ) from error
        finally:
            self._limit = None
            _WATCH.set(before)

    def _end_at(self, moment: float | None) -> None:
        """What has come to its end stays so, while things are cleared up."""
        if self._limit and not self._limit.expired():
            self._limit.reschedule(moment)


_WATCH: Final[ContextVar[Watch | None]] = ContextVar("watch", default=None)


@contextmanager
def unwatched() -> Generator[None]:
    """What is waited for here is ours: it is no silence of a store."""
    watch = _WATCH.get()
    if watch:
        watch.pause()
    try:
        yield
    finally:
        if watch:
            watch.reset()


class Onlooker:
    """
    A person who waits for what is done below, and is told why it takes so long.

    As long as no store has answered at all, they wait for `SOON` only; a task, which nobody looks
    at, rides out the restart of a store. `clock` is in seconds.
    """

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._is_answered = False
        self._until = 0.0
        self._next = 0.0

    def answered(self) -> None:
        self._is_answered = True

    def waits(self, error: Unavailable, pause: float) -> bool:
        """Whether they do, for the try after the pause."""
        now = self._clock()
        self._is_answered = self._is_answered or not _is_nobody(error)
        self._until = self._until or now + SOON
        if not self._is_answered and now + pause > self._until:
            return False
        if now >= self._next:
            self._next = now + SELDOM
            limit = "" if self._is_answered else f" for {self._until - now:.0f} s at most"
            self._tell(f"{error}; trying again{limit}")
        return True

    @contextmanager
    def looking_on(self) -> Generator[None]:
        before = _ONLOOKER.set(self)
        try:
            yield
        finally:
            _ONLOOKER.reset(before)


_ONLOOKER: Final[ContextVar[Onlooker | None]] = ContextVar("onlooker", default=None)


def _is_nobody(error: BaseException | None) -> bool:
    """Whether nobody is there who could answer."""
    while error:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) in NOBODY:
            return True
        error = error.__cause__
    return False


class Patience(Value):
    """
    `tries` before a failure is one, counted anew whenever `worth` bytes have come since.

    All else are seconds: a pause is `first` and doubles up to `longest`; `stall` is how long a
    connection may be as good as silent.
    """

    tries: int = 10
    first: float = 0.5
    longest: float = 30.0
    stall: float = 60.0
    worth: int = 1 << 16

    async def persist(self, deed: Callable[[], Awaitable[T]], progress: Callable[[], int]) -> T:
        """Try until it is done: again after `Unavailable`, which is raised after the last try."""
        failures, before = 0, progress()
        pauses = delays(first=self.first, most=self.longest)
        onlooker = _ONLOOKER.get()
        while True:
            try:
                done = await deed()
            except Changed:
                raise
            except Unavailable as error:
                if progress() - before >= self.worth:
                    failures, before = 0, progress()
                    pauses = delays(first=self.first, most=self.longest)
                failures += 1
                asked = min(error.retry_after, LONGEST_WAIT)
                pause = max(asked, jittered(next(pauses), chance()))
                is_last = failures >= self.tries
                if is_last or (onlooker and not onlooker.waits(error, pause)):
                    raise Unavailable(f"{error}; that was try {failures}, the last") from error
            else:
                if onlooker:
                    onlooker.answered()
                return done
            await asyncio.sleep(pause)
