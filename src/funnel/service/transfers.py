"""Moving the files of a task, several at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from funnel.core.event import Level
from funnel.ports import Share, Storage
from funnel.service.budget import Budget
from funnel.together import abreast, alongside

T = TypeVar("T")
Note: TypeAlias = Callable[[Level, str, Mapping[str, str]], Awaitable[None]]

EVERY: Final = 30.0
"""Seconds between two notes about how far it is."""


@dataclass(slots=True)
class _Tally:
    files: int
    done: int = 0
    size: int = 0
    began: float = field(default_factory=time.monotonic)

    def moved(self, count: int) -> None:
        self.size += count

    def fields(self) -> Mapping[str, str]:
        rate = self.size / (time.monotonic() - self.began)
        return {
            "files": f"{self.done} of {self.files}",
            "size": str(self.size),
            "rate": f"{rate / 1e6:.1f} MB/s",
        }


@dataclass(frozen=True, slots=True)
class Transfers:
    """
    What moving files takes: `most` files at a time, and what the `budget` has for a task.

    `note` hears of each, and now and then how far it is; `every` is in seconds.
    """

    storage: Storage
    note: Note
    most: int
    budget: Budget
    every: float = EVERY

    async def abreast(
        self, move: Callable[[T, Share], Awaitable[object]], files: Sequence[T]
    ) -> None:
        """Move all of them; the first to fail stops the rest."""
        if not files:
            return
        tally = _Tally(len(files))
        share = self.budget.share(tally.moved)

        async def work(one: T) -> None:
            await move(one, share)
            tally.done += 1

        async with alongside(self._report(tally)):
            await abreast(work, files, min(self.most, len(files)))

    async def _report(self, tally: _Tally) -> None:
        while True:
            await asyncio.sleep(self.every)
            await self.note(Level.INFO, "transfers go on", tally.fields())
