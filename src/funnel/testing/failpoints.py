"""Faults on purpose: a point before and one after each call of a port, and what happens there."""

import asyncio
import inspect
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import partial, wraps
from threading import Lock
from typing import Any, Final, TypeVar, cast, get_origin

from funnel.core.error import Unavailable
from funnel.core.value import Value
from funnel.ports import Backend, Database, Runtime, Storage

T = TypeVar("T")

PORTS: Final[Mapping[str, type]] = {
    "backend": Backend,
    "database": Database,
    "runtime": Runtime,
    "storage": Storage,
}


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class Action(StrEnum):
    CRASH = "crash"
    """The process dies, as by `kill -9`."""
    ERROR = "error"
    """Before: nothing has happened, `Unavailable`. After: it has, and the answer is lost."""
    DELAY = "delay"
    DUPLICATE = "duplicate"
    """It is done twice. Before: the first answer is lost. After: nobody hears the second."""


class Fault(Value, kw_only=True):
    """What happens at a point, `<port>.<method>:<when>`, when it is hit for the `hit`-th time."""

    point: str
    action: Action
    hit: int = 1
    """0 is each time."""


def points(name: str, port: type) -> Iterator[str]:
    """All points of a port. A new method has its own by itself."""
    for method, _ in _methods(port):
        yield from (f"{name}.{method}:{when}" for when in When)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _unseen(_point: str) -> None:
    """Keep no record."""


class Failpoints:
    """Makes faults happen; `seen` hears of each point that is hit. A `delay` is in seconds."""

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        *,
        seen: Callable[[str], object] = _unseen,
        delay: float = 0.2,
        crash: Callable[[], None] = _die,
    ) -> None:
        self._faults = {(one.point, one.hit): one.action for one in faults}
        self._seen = seen
        self._delay = delay
        self._crash = crash
        self._hits = Counter[str]()
        self._counting = Lock()

    def around(self, name: str, adapter: T) -> T:
        """What answers a port of `PORTS`, with points around each of its methods."""
        armed = {
            method: self.armed(f"{name}.{method}", getattr(adapter, method), like=like)
            for method, like in _methods(PORTS[name])
        }
        return cast("T", _Armed(adapter, armed))

    def armed(
        self, name: str, call: Callable[..., Any], *, like: Callable[..., Any] | None = None
    ) -> Callable[..., Any]:
        """A function, or one that is called `like` another, with points around it."""
        shape = like or call
        if inspect.iscoroutinefunction(shape):
            return self._awaited(name, call)
        if get_origin(inspect.signature(shape).return_annotation) is AsyncIterator:
            return self._streamed(name, call)
        return self._called(name, call)

    def _called(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def armed(*args: Any, **given: Any) -> Any:
            once = _rewound(call, args, given)
            self._stop(name, When.BEFORE, once)
            answer = once()
            self._stop(name, When.AFTER, once)
            return answer

        return armed

    def _awaited(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        async def armed(*args: Any, **given: Any) -> Any:
            once = _rewound(call, args, given)
            await self._pass(name, When.BEFORE, once)
            answer = await once()
            await self._pass(name, When.AFTER, once)
            return answer

        return armed

    def _streamed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        async def armed(*args: Any, **given: Any) -> AsyncIterator[Any]:
            async def drained() -> None:
                async for _ in call(*args, **given):
                    pass

            await self._pass(name, When.BEFORE, drained)
            async for one in call(*args, **given):
                yield one
            await self._pass(name, When.AFTER, drained)

        return armed

    def _stop(self, name: str, when: When, call: Callable[[], Any]) -> None:
        """Blocks: for what is called in a thread."""
        action = self._met(f"{name}:{when}")
        if action is Action.DELAY:
            time.sleep(self._delay)
        elif action is Action.DUPLICATE:
            with suppress(Exception):
                call()

    async def _pass(self, name: str, when: When, call: Callable[[], Any]) -> None:
        action = self._met(f"{name}:{when}")
        if action is Action.DELAY:
            await asyncio.sleep(self._delay)
        elif action is Action.DUPLICATE:
            with suppress(Exception):
                await call()

    def _met(self, point: str) -> Action | None:
        """What is left to do; a crash and an error happen here."""
        with self._counting:
            self._hits[point] += 1
            hit = self._hits[point]
        self._seen(point)
        action = self._faults.get((point, hit), self._faults.get((point, 0)))
        if action is Action.CRASH:
            self._crash()
        if action is Action.ERROR:
            if point.endswith(When.BEFORE):
                raise Unavailable(f"a fault was asked for at {point}")
            raise ConnectionResetError(f"a fault was asked for at {point}")
        return action


class _Armed:
    """An adapter whose methods are others; what is in no port stays its own."""

    def __init__(self, adapter: object, armed: Mapping[str, Callable[..., Any]]) -> None:
        self._adapter = adapter
        self.__dict__.update(armed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


def _methods(port: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if not name.startswith("_"):
            yield name, method


def _rewound(
    call: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any]
) -> Callable[[], Any]:
    """The call, to be made again and again: open files are read from where they stand now."""
    marks = [(one, one.tell()) for one in (*args, *given.values()) if hasattr(one, "seek")]

    def once() -> Any:
        for file, position in marks:
            file.seek(position)
        return partial(call, *args, **given)()

    return once
