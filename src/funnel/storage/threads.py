"""Work on files, which blocks, in threads."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from funnel.core.error import FunnelError

T = TypeVar("T")


async def to_the_end(work: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
    """
    Do it in a thread. A caller who is cancelled goes on only when the work has ended.

    So nothing is closed that a thread still uses; `stop` may tell the work to end early.
    """
    working = asyncio.create_task(asyncio.to_thread(work))
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
