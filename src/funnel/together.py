"""Doing several things at once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Group:
    """
    Tasks that fail as one: see `grouped`.

    An `asyncio.TaskGroup` would do but for cancels: before Python 3.13 it forgets one that comes
    in the moment of a failure, and leaves one too many where something fails while it waits.
    """

    def __init__(self) -> None:
        """Raises `RuntimeError` outside a task."""
        owner = asyncio.current_task()
        if owner is None:
            raise RuntimeError("only a task can have others of a group stop it")
        self._owner = owner
        self._before = owner.cancelling()
        self._tasks = set[asyncio.Task[Any]]()
        self._failure: BaseException | None = None
        self._is_open = True

    def create_task(self, job: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Asked for even where another came first: asyncio tells of those that nobody looks at.
        failure = None if task.cancelled() else task.exception()
        if failure and self._is_open and not self._failure:
            self._failure = failure
            self._owner.cancel()

    async def rest(self) -> None:
        """Wait until all have ended; raise what failed first, should the body have missed it."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._failure:
            raise self._failure

    async def stop(self) -> BaseException | None:
        """What failed first, if that was one of them; not told to who is cancelled besides."""
        self._is_open = False
        if self._failure:
            self._owner.uncancel()
        await stopped(tuple(self._tasks))
        return None if self._owner.cancelling() > self._before else self._failure


@asynccontextmanager
async def grouped() -> AsyncGenerator[Group]:
    """
    Of its tasks and the body the first to fail stops the rest, and is raised as itself.

    At the end of the body it waits for the tasks.
    """
    group = Group()
    try:
        yield group
        await group.rest()
    except BaseException:
        failure = await group.stop()
        if failure is None:
            raise
    else:
        return
    raise failure


async def together(jobs: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do all of them; the first to fail stops the rest and is raised as itself."""
    several = tuple(jobs)
    if len(several) == 1:
        await several[0]
        return
    async with grouped() as group:
        for job in several:
            group.create_task(job)


async def abreast(deed: Callable[[T], Awaitable[object]], each: Iterable[T], most: int) -> None:
    """Do it with each, `most` at a time; the first to fail stops the rest, as in `together`."""
    waiting = iter(each)

    async def work() -> None:
        for one in waiting:
            await deed(one)

    await together(work() for _ in range(most))


async def first_of(*jobs: Coroutine[Any, Any, object]) -> None:
    """Do all of them until the first has ended, and stop the rest; what it raises is raised."""
    working = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await stopped(working)
    for one in working:
        if not one.cancelled():
            one.result()


@asynccontextmanager
async def alongside(*jobs: Coroutine[Any, Any, object]) -> AsyncGenerator[None]:
    """
    Do other things until the body ends; the first to fail stops the rest and is raised as itself.

    A failing body is one of those that stop the rest.
    """
    async with grouped() as group:
        working = [group.create_task(job) for job in jobs]
        yield
        for one in working:
            one.cancel()


async def stopped(working: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them, and wait for their ends; what has not begun never does."""
    for one in working:
        one.cancel()
    await undisturbed(asyncio.gather(*working, return_exceptions=True))


async def undisturbed(job: Awaitable[object]) -> None:
    """Do it to its end; who is cancelled meanwhile hears of it only then."""
    working = asyncio.ensure_future(job)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError as word:
            cancelled = word
    if cancelled:
        raise cancelled


async def lingering(job: Coroutine[Any, Any, T], seconds: float) -> T:
    """Do it; who is cancelled meanwhile, once or more, gives it so long to come to its end."""
    working = asyncio.ensure_future(job)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await undisturbed(_ended(working, seconds))
        raise


async def _ended(working: asyncio.Task[Any], seconds: float) -> None:
    await asyncio.wait({working}, timeout=seconds)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
