"""A thread for what would hold the loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    """What is raised inside of it is told on the loop, and so is `found`."""

    deed: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    found: Any = None

    def __enter__(self) -> None:
        """Nothing is told before the end."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        # A loop that is closed waits for nothing.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._tell, error)
        return True

    def _tell(self, error: BaseException | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(self.found)
        else:
            self.answer.set_exception(error)


class OneThread:
    """
    Does one thing after the other.

    An executor does as much; each call of it makes locks and a second future, which takes the
    loop longer than many a call.
    """

    def __init__(self, name: str) -> None:
        self._jobs = SimpleQueue[_Job | None]()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def do(self, deed: Callable[[], T]) -> asyncio.Future[T]:
        """Its answer, or what it raises. It is done even where nobody waits for that any more."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(deed, loop, answer))
        return answer

    def end(self) -> None:
        """Return when all is done."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while job := self._jobs.get():
            with job:
                job.found = job.deed()
            del job
