"""Runs something, and cancels it at one of the steps that it and its tasks take."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")
AGAIN = 30
"""Times that somebody is cancelled who is cancelled again and again."""
MOST = 5_000
"""Steps; more of them are a loop without end."""
SETTLED = 20
"""Turns of the loop in which generators that nobody reads any more are closed."""


class Steps:
    """
    Counts how often any task waits for something, and cancels the `victim` at step `at`.

    At the next ones as well, where it is to do so `again`.
    """

    def __init__(self, at: int, *, again: bool = False) -> None:
        self._at = at
        self._again = again
        self.count = 0
        self.victim: asyncio.Task[Any] | None = None
        self.reached = False
        """Whether it was cancelled before it came to its end."""

    def factory(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **given: Any
    ) -> asyncio.Task[Any]:
        made = asyncio.Task(_Driven(coroutine, self.step), loop=loop, **given)
        made.set_name(coroutine.__qualname__)
        return made

    def step(self) -> None:
        if not self.victim or self.victim.done():
            return
        if self._at <= self.count <= self._at + self._again * AGAIN:
            self.reached = self.victim.cancel() or self.reached
        self.count += 1


class _Driven(Coroutine[Any, Any, T]):
    """Awaits the coroutine, and calls `step` whenever that waits."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], step: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._step = step

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._waiting(self._coroutine.send(value))

    def throw(self, *error: Any) -> Any:
        return self._waiting(self._coroutine.throw(*error))

    def close(self) -> None:
        self._coroutine.close()

    def _waiting(self, found: Any) -> Any:
        self._step()
        return found


async def cancelled_at(steps: Steps, deed: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """
    What it answers or raises, or nothing where it was cancelled.

    Raises `AssertionError` where that is not heard of, or tasks are left.
    """
    loop = asyncio.get_running_loop()
    before, factory = asyncio.all_tasks(), loop.get_task_factory()
    loop.set_task_factory(steps.factory)
    try:
        steps.victim = asyncio.create_task(deed())
        await asyncio.wait([steps.victim])
    finally:
        loop.set_task_factory(factory)
    for _ in range(SETTLED):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    assert not left, f"tasks were left: {left}"
    assert steps.count < MOST
    assert steps.victim.cancelled() == steps.reached, "it goes on as if nobody had cancelled it"
    return None if steps.reached else steps.victim.result()
