"""Who waits for news of which task, and is woken by nothing else."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from funnel.core.error import Busy
from funnel.core.task import TaskId
from funnel.ports import Live

ALL: Final = TaskId("")
"""Stands for all tasks; no task has this id."""
MOST: Final = 1000
MOST_OF_ALL: Final = 64
"""Those who watch all tasks look into the database at each commit, so they are fewer."""


class Watcher:
    """
    One who waits. Look first, then wait for news, then look again: nothing is missed.

    `over` says that the server stops, and that there is nothing more to wait for.
    """

    def __init__(self) -> None:
        self.over = False
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    def end(self) -> None:
        self.over = True
        self._news.set()

    async def news(self, within: float) -> bool:
        """Return at the next news, True; False after so many seconds, or when it is over."""
        if not self.over:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._news.wait()
        woken = self._news.is_set() and not self.over
        self._news.clear()
        return woken


class Hub:
    """Wakes those who watch a task when there was a commit about it."""

    def __init__(self, live: Live, *, most: int = MOST, most_of_all: int = MOST_OF_ALL) -> None:
        self.waiting = 0
        self._most = {ALL: most_of_all}
        self._most_together = most
        self._watches: dict[TaskId, set[Watcher]] = {}
        self._over = False
        live.on_commit(self._heard)

    @contextmanager
    def watch(self, task_id: TaskId) -> Generator[Watcher]:
        """Wait for news of one task, or of `ALL`. Raises `Busy` when too many do."""
        watch = Watcher()
        if self._over:
            watch.end()
        watches = self._watches.get(task_id, set())
        if self.waiting >= self._most_together or len(watches) >= self._most.get(
            task_id, self._most_together
        ):
            raise Busy(f"{self.waiting} requests wait for news already; try again later")
        self._watches[task_id] = watches
        watches.add(watch)
        self.waiting += 1
        try:
            yield watch
        finally:
            self.waiting -= 1
            watches.discard(watch)
            if not watches:
                self._watches.pop(task_id, None)

    def close(self) -> None:
        """Send everybody home, also who comes later."""
        self._over = True
        for watches in self._watches.values():
            for watch in watches:
                watch.end()

    def _heard(self, changed: Sequence[TaskId]) -> None:
        if not self._watches:
            return
        for task_id in {ALL, *changed}:
            for watch in self._watches.get(task_id, ()):
                watch.wake()
