"""The storages of the settings; nothing is loaded or opened before the first URL needs it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol

from funnel.core.error import Invalid
from funnel.plugins import Host, Plugin
from funnel.ports import Content, Object, Reading, Storage, Sweeper
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.s3.address import SCHEME, address, candidates, host_of
from funnel.storage.s3.settings import AmazonSettings, Entry, GenericSettings


class Moving(Sweeper, Protocol):
    """A store but for the question which URLs it takes."""

    async def stat(self, url: str) -> Object: ...

    def list_objects(self, url: str) -> AsyncIterator[Object]: ...

    def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AbstractAsyncContextManager[Reading]: ...

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object: ...


class LateStore:
    """Answers `ports.Store` and `ports.Sweeper`: `made` when the first URL comes."""

    def __init__(self, takes: Callable[[str], bool], make: Callable[[], Moving]) -> None:
        self._takes = takes
        self._make = make
        self._made: Moving | None = None

    def takes(self, url: str) -> bool:
        return self._takes(url)

    async def stat(self, url: str) -> Object:
        return await self._store.stat(url)

    def list_objects(self, url: str) -> AsyncIterator[Object]:
        return self._store.list_objects(url)

    def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AbstractAsyncContextManager[Reading]:
        return self._store.read(url, start, end, etag)

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        return await self._store.write(url, content, overwrite=overwrite)

    async def sweep(self, url: str, age: timedelta) -> int:
        return await self._store.sweep(url, age)

    @property
    def _store(self) -> Moving:
        self._made = self._made or self._make()
        return self._made


@asynccontextmanager
async def _amazon(settings: AmazonSettings, host: Host) -> AsyncGenerator[Storage]:
    patience = Patience(tries=settings.aws_config.max_retries + 1)
    async with _opened(lambda opened: opened.amazon, settings, host) as make:
        store = LateStore(lambda url: takes_amazon(url, settings), make)
        yield RemoteStorage(store, patience)


@asynccontextmanager
async def _generic(settings: GenericSettings, host: Host) -> AsyncGenerator[Storage]:
    entries = [one for one in settings.entries if not one.disabled]
    if not all(one.endpoint for one in entries):
        raise Invalid("GenericS3[].Endpoint is missing; give it, or say Disabled")
    amazon: AmazonSettings = host.settings(AMAZON)
    beside = None if amazon.disabled or amazon == AmazonSettings() else amazon
    async with _opened(lambda opened: opened.generic, (entries, beside), host) as make:
        yield RemoteStorage(LateStore(lambda url: takes_generic(url, entries), make))


@asynccontextmanager
async def _opened(
    which: Callable[[Any], Any], settings: Any, host: Host
) -> AsyncGenerator[Callable[[], Moving]]:
    """What makes a store, which is closed in the end if it was made."""
    async with AsyncExitStack() as stack:

        def make() -> Moving:
            opened = which(import_module("funnel.storage.s3.opened"))
            store: Moving = opened(settings, host.now, stack)
            return store

        yield make


def takes_amazon(url: str, settings: AmazonSettings) -> bool:
    return url.startswith(SCHEME) and not settings.disabled


def takes_generic(url: str, entries: Sequence[Entry]) -> bool:
    """Whether an entry may have it; that several may, is said when it is used."""
    if not url.startswith(SCHEME):
        return False
    found = address(url, [host_of(one.endpoint) for one in entries])
    return bool(candidates(found, entries))


AMAZON: Plugin[AmazonSettings, Storage] = Plugin("AmazonS3", AmazonSettings, _amazon)
GENERIC: Plugin[GenericSettings, Storage] = Plugin("GenericS3", GenericSettings, _generic)
