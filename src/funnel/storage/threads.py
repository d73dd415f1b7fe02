"""Work on files, which blocks, in threads."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
    """
    Do it in a thread. A caller who is cancelled goes on only when the work has ended.

    So nothing is closed that a thread still uses; `stop` may tell the work to end early.
    """
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([working])
        working.exception()
        raise
