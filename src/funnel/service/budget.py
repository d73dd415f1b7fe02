"""Connections and memory for moving files, shared fairly by the tasks of one process."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

MEMORY: Final = 128 << 20
"""Bytes that all transfers hold together."""
CONNECTIONS: Final = 32


def _unheard(_count: int) -> None:
    """Nobody asks."""


@dataclass(eq=False, slots=True)
class _Waiting:
    share: "FairShare"
    memory: int
    turn: asyncio.Future[None]


class Budget:
    """
    What there is to give. Whoever holds the fewest connections is next; among equals, the first.

    A wish for more memory than there is counts as one for all of it.
    """

    def __init__(self, connections: int = CONNECTIONS, memory: int = MEMORY) -> None:
        self._connections = connections
        self._memory = self._all = memory
        self._waiting: list[_Waiting] = []

    def share(self, moved: Callable[[int], object] = _unheard) -> "FairShare":
        """For one task; `moved` hears how many bytes come and go."""
        return FairShare(self, moved)

    def least(self, memory: int) -> int:
        return min(memory, self._all)

    async def take(self, share: "FairShare", memory: int) -> None:
        if not self._waiting and self._has(memory):
            self._give(share, memory)
            return
        waiting = _Waiting(share, memory, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.cancelled():
                self._waiting.remove(waiting)
                self._serve()
            else:
                self.give_back(share, memory)
            raise

    def take_now(self, share: "FairShare", memory: int) -> bool:
        """Whether there is a connection that nobody waits for."""
        free = not self._waiting and self._has(memory)
        if free:
            self._give(share, memory)
        return free

    def give_back(self, share: "FairShare", memory: int) -> None:
        self._connections += 1
        self._memory += memory
        share.held -= 1
        self._serve()

    def _serve(self) -> None:
        while waiting := [one for one in self._waiting if not one.turn.done()]:
            first = min(waiting, key=lambda one: one.share.held)
            if not self._has(first.memory):
                return
            self._waiting.remove(first)
            self._give(first.share, first.memory)
            first.turn.set_result(None)

    def _has(self, memory: int) -> bool:
        return self._connections > 0 and self._memory >= memory

    def _give(self, share: "FairShare", memory: int) -> None:
        self._connections -= 1
        self._memory -= memory
        share.held += 1


class _Place:
    """No generator, since each small file takes one."""

    def __init__(self, share: "FairShare", budget: Budget, memory: int) -> None:
        self._share = share
        self._budget = budget
        self._memory = memory

    async def __aenter__(self) -> None:
        await self._budget.take(self._share, self._memory)

    async def __aexit__(self, *_: object) -> None:
        self._budget.give_back(self._share, self._memory)


class FairShare:
    """Answers `ports.Share`; `held` is how many connections it has now."""

    def __init__(self, budget: Budget, moved: Callable[[int], object]) -> None:
        self.held = 0
        self._budget = budget
        self._moved = moved

    def moved(self, count: int) -> None:
        self._moved(count)

    def place(self, memory: int) -> "_Place":
        return _Place(self, self._budget, self._budget.least(memory))

    @asynccontextmanager
    async def spare(self, most: int, memory: int) -> AsyncGenerator[int]:
        memory, count = self._budget.least(memory), 0
        try:
            while count < most and self._budget.take_now(self, memory):
                count += 1
            yield count
        finally:
            for _ in range(count):
                self._budget.give_back(self, memory)
