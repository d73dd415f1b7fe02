"""What the sinks share."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Generic, TypeVar

from funnel.core.error import Unavailable
from funnel.core.message import Numbered, Type
from funnel.core.task import TaskId

C = TypeVar("C")

PROJECT: Final = "funnel-tes"
GRACE: Final = 2.0
"""Seconds for a connection to be closed."""
TOGETHER: Final = 64
"""Messages of different tasks that are under way at once."""


def without_logs(told: Sequence[Numbered], *, system_logs: bool) -> Sequence[Numbered]:
    """What is to be told, with the system logs or without them."""
    if system_logs:
        return told
    return [one for one in told if one.message.type is not Type.SYSTEM_LOG]


def by_task(told: Sequence[Numbered]) -> dict[TaskId, list[Numbered]]:
    """The messages of each task, in order."""
    found: dict[TaskId, list[Numbered]] = {}
    for one in told:
        found.setdefault(one.message.id, []).append(one)
    return found


def rounds(told: Sequence[Numbered], most: int = TOGETHER) -> Iterator[Sequence[Numbered]]:
    """
    The same, to be sent one part after the other, in each of which no task is twice.

    So what is sent together may arrive in any order, or in part.
    """
    waiting = [*by_task(told).values()]
    while waiting:
        heads = [one.pop(0) for one in waiting]
        yield from (heads[at : at + most] for at in range(0, len(heads), most))
        waiting = [one for one in waiting if one]


async def together(sending: Sequence[Awaitable[object]]) -> None:
    """Wait for all of them to end; raise the first error."""
    for ended in await asyncio.gather(*sending, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


async def ended(closing: Awaitable[object], seconds: float) -> None:
    """Wait for an end, but not for longer than that, and whatever comes of it."""
    with suppress(Exception):
        async with asyncio.timeout(seconds):
            await closing


def library(module: str, extra: str) -> Any:
    """A module that is installed with an extra only. Raises `Unavailable` where it is not."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Unavailable(
            f"EventWriters has {extra}, which needs {error.name or module}, and that is not"
            f" installed: pip install '{PROJECT}[{extra}]'"
        ) from error


def demand(setting: str, value: object, what: str) -> None:
    """Raise `Unavailable` for a setting that a sink cannot be without."""
    if not value:
        raise Unavailable(f"{setting} is empty: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Generic[C]):
    """How a sink reaches the other side, over a connection that `connect` makes."""

    name: str
    connect: Callable[[], AbstractAsyncContextManager[C]]
    send: Callable[[C, Sequence[Numbered]], Awaitable[None]]
    faults: tuple[type[Exception], ...]
    """The library's own errors; after any, the connection is thrown away."""
    system_logs: bool
    explain: Callable[[Exception], str] = repr


class _Sink(Generic[C]):
    """
    Answers `ports.Sink`.

    What a library repeats by itself after a fault could come late and out of order, so each
    fault is followed by a new connection.
    """

    def __init__(self, line: Line[C]) -> None:
        self._line = line
        self._faults: tuple[type[Exception], ...] = (OSError, *line.faults)
        self._connection: C | None = None
        self._stack = AsyncExitStack()

    async def __call__(self, told: Sequence[Numbered]) -> None:
        told = without_logs(told, system_logs=self._line.system_logs)
        if not told:
            return
        try:
            if self._connection is None:
                self._connection = await self._stack.enter_async_context(self._line.connect())
            await self._line.send(self._connection, told)
        except self._faults as error:
            await self.close()
            raise Unavailable(f"{self._line.name}: {self._line.explain(error)}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """It may be used again."""
        self._connection = None
        await ended(self._stack.aclose(), GRACE)
        self._stack = AsyncExitStack()


@asynccontextmanager
async def sink_over(line: Line[C]) -> AsyncGenerator[_Sink[C]]:
    """A sink that connects when it is first told something, and anew after a fault."""
    sink = _Sink(line)
    try:
        yield sink
    finally:
        await sink.close()
