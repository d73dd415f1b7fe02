"""One run for all who ask for the same."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True)
class _Run(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


class Shared(Generic[K, T]):
    """Calls for one key share one run, which is stopped when nobody waits for it any more."""

    def __init__(self) -> None:
        self._runs: dict[K, _Run[T]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if (run := self._runs.get(key)) is None:
            run = self._runs[key] = _Run(asyncio.create_task(work()))
            run.task.add_done_callback(_look)
        run.waiters += 1
        try:
            return await asyncio.shield(run.task)
        finally:
            run.waiters -= 1
            if run.task.done() or not run.waiters:
                run.task.cancel()
                # The key may already belong to a newer run.
                if self._runs.get(key) is run:
                    del self._runs[key]


def _look(task: asyncio.Task[Any]) -> None:
    """Its failure is told by those who wait; when nobody does, nobody is to be told."""
    if not task.cancelled():
        task.exception()
