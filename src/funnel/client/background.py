"""An event loop in a thread of its own: for callers that have none, or whose own is busy."""

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

AHEAD: Final = 256
"""Items that are read before they are asked for."""
CLOSING_SECONDS: Final = 10.0


def demand_process(process: int) -> None:
    """Raises `RuntimeError` in a child of the process."""
    if os.getpid() != process:
        raise RuntimeError("this client was made before a fork: make one in each process")


class Background:
    """
    Does asynchronous things for any thread, whether a loop runs there or not.

    Belongs to the process that made it: a child of `fork` has no such thread. Whoever forgets to
    close it has it closed when it is collected, or when the program ends; `last` is done then.
    """

    def __init__(self, last: Callable[[], Awaitable[None]]) -> None:
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._loop = _loop_of_its_own(last)
        self._end = weakref.finalize(self, self._loop.stop, self._process)

    def do(self, deed: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What comes of it. Who is interrupted meanwhile stops it."""
        demand_process(self._process)
        with self._turn:
            self._demand_open()
            doing = asyncio.run_coroutine_threadsafe(deed(), self._loop.loop)
        try:
            return doing.result()
        except CancelledError:
            raise RuntimeError("the client was closed meanwhile") from None
        finally:
            doing.cancel()

    def each(self, items: Callable[[], AsyncGenerator[T]]) -> Generator[T]:
        """One after another, read a little ahead."""
        demand_process(self._process)
        self._demand_open()
        reader = _Reader(items())
        try:
            while some := self.do(reader.some):
                yield from some
        finally:
            # Never waits: what nobody goes on with may be collected in the very thread of the loop.
            if self._end.alive and os.getpid() == self._process:
                self._loop.loop.call_soon_threadsafe(reader.stop)

    def close(self) -> None:
        """
        Stop what is still being done, and the thread.

        Does nothing the second time, and in a child of the process.
        """
        if os.getpid() == self._process:
            with self._turn:
                self._end()

    def _demand_open(self) -> None:
        if not self._end.alive:
            raise RuntimeError("this client is closed")


@dataclass(frozen=True, slots=True)
class _Loop:
    loop: asyncio.AbstractEventLoop
    over: asyncio.Event
    thread: threading.Thread

    def stop(self, process: int) -> None:
        """Does nothing in a child of the process, which has neither loop nor thread."""
        if os.getpid() == process:
            self.loop.call_soon_threadsafe(self.over.set)
            if self.thread is not threading.current_thread():
                self.thread.join(CLOSING_SECONDS)


def _loop_of_its_own(last: Callable[[], Awaitable[None]]) -> _Loop:
    started = Future[_Loop]()

    async def live() -> None:
        over = asyncio.Event()
        started.set_result(_Loop(asyncio.get_running_loop(), over, threading.current_thread()))
        await over.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last()

    def run() -> None:
        asyncio.run(live())

    threading.Thread(target=run, name="funnel-client", daemon=True).start()
    return started.result()


class _Reader(Generic[T]):
    """Reads on while what it has read is used."""

    def __init__(self, items: AsyncGenerator[T]) -> None:
        self._items = items
        self._read: list[T] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def some(self) -> list[T]:
        """What has been read since, one item at least; nothing is the end."""
        reading = self._reading or self._start()
        await self._news.wait()
        if not reading.done():
            self._news.clear()
        read, self._read = self._read, []
        self._room.set()
        if not read:
            await reading
        return read

    def stop(self) -> None:
        if self._reading:
            self._reading.cancel()

    def _start(self) -> asyncio.Task[None]:
        self._reading = asyncio.create_task(self._go())
        self._reading.add_done_callback(self._ended)
        return self._reading

    def _ended(self, reading: asyncio.Task[None]) -> None:
        """Nobody may be there any more to be told what went wrong."""
        if not reading.cancelled():
            reading.exception()
        self._news.set()

    async def _go(self) -> None:
        async with aclosing(self._items):
            async for item in self._items:
                self._read.append(item)
                self._news.set()
                if len(self._read) >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
