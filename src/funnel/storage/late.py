"""Stores that are opened when the first URL needs them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, Final, TypeVar

from funnel.core.error import FunnelError
from funnel.ports import Content, Object, Reading, Remover, Store, Sweeper

L = TypeVar("L", bound="Late")

PROJECT: Final = "funnel-tes"


class Late:
    """
    Answers `ports.Store` with what a module has `opened`, for URLs that begin with a scheme.

    Also `ports.Remover`, where that is one. What the module imports is not waited for at the
    start, and where it is not installed, the `extra` to install is told to those who need it.
    """

    def __init__(
        self, schemes: tuple[str, ...], *, module: str, settings: Any, extra: str = ""
    ) -> None:
        self._schemes = schemes
        self._module = module
        self._settings = settings
        self._extra = extra
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._store: Store | None = None

    def takes(self, url: str) -> bool:
        return url.startswith(self._schemes)

    async def stat(self, url: str) -> Object:
        return await (await self._opened()).stat(url)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        async for one in (await self._opened()).list_objects(url):
            yield one

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        async with (await self._opened()).read(url, start, end, etag) as reading:
            yield reading

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        return await (await self._opened()).write(url, content, overwrite=overwrite)

    async def remove(self, stored: Object) -> None:
        store = await self._opened()
        if isinstance(store, Remover):
            await store.remove(stored)

    async def close(self) -> None:
        await self._stack.aclose()

    async def _opened(self) -> Store:
        async with self._lock:
            if self._store is None:
                module = await asyncio.to_thread(self._imported)
                opening: AbstractAsyncContextManager[Store] = module.opened(self._settings)
                self._store = await self._stack.enter_async_context(opening)
            return self._store

    def _imported(self) -> Any:
        try:
            return import_module(self._module)
        except ImportError as error:
            raise FunnelError(
                f"{self._schemes[0]} needs {error.name}, which is not installed:"
                f" pip install '{PROJECT}[{self._extra}]'"
            ) from error


class LateSweeper(Late):
    """The same of a store that is a `ports.Sweeper` as well."""

    async def sweep(self, url: str, age: timedelta) -> int:
        store = await self._opened()
        if not isinstance(store, Sweeper):
            raise TypeError(f"{self._module} opens no sweeper")
        return await store.sweep(url, age)


@asynccontextmanager
async def closing(late: L) -> AsyncGenerator[L]:
    try:
        yield late
    finally:
        await late.close()
