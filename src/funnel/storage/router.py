"""Many storages behind one: the first that takes the URL."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.url import objection, redacted
from funnel.plugins import Host, Plugin, find, storage_names
from funnel.ports import Object, Share, Storage, Store, Sweeper
from funnel.storage.remote import RemoteStorage


class Router:
    """Answers `ports.Storage` with the storages it was given, by the URL alone."""

    def __init__(self, storages: Sequence[Storage]) -> None:
        self._storages = storages

    def takes(self, url: str) -> bool:
        return any(one.takes(url) for one in self._storages)

    def in_place(self, url: str) -> Path | None:
        return self._for(url).in_place(url)

    def shared(self, url: str) -> bool:
        return self._for(url).shared(url)

    def roots(self) -> tuple[str, ...]:
        return tuple(root for one in self._storages for root in one.roots())

    async def stat(self, url: str) -> Object:
        return await self._for(url).stat(url)

    async def list_objects(self, url: str) -> Sequence[Object]:
        return await self._for(url).list_objects(url)

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        return await self._for(url).get(url, to, share)

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        return await self._for(url).put(source, url, share, overwrite=overwrite)

    async def sweep(self, url: str, age: timedelta) -> int:
        """Raises `Invalid` where nothing is left that nobody sees."""
        storage = self._for(url)
        if not isinstance(storage, Sweeper):
            raise Invalid(f"nothing is left behind at {redacted(url)} that could be swept")
        return await storage.sweep(url, age)

    def store(self, url: str) -> Store:
        """What moves the bytes of a URL that is not on this machine. Raises `Invalid`."""
        storage = self._for(url)
        if not isinstance(storage, RemoteStorage):
            raise Invalid(f"{redacted(url)} is in no remote store")
        return storage.store

    def _for(self, url: str) -> Storage:
        if wrong := objection(url):
            raise Invalid(f"{redacted(url)} {wrong}")
        for one in self._storages:
            if one.takes(url):
                return one
        scheme, separator, _ = url.partition("://")
        shape = f"{scheme}{separator}" if separator else "names without a scheme"
        raise Invalid(
            f"no storage takes {shape}; write an absolute path, or the URL of a storage that the"
            " settings have"
        )


@asynccontextmanager
async def opened(
    settings: Callable[[Plugin[Any, Storage]], Any], host: Host
) -> AsyncGenerator[Router]:
    """All storages that are installed. Some lead to others, and are given all of them."""
    storages = list[Storage]()
    router = Router(storages)
    host = replace(host, store=router.store, settings=settings)
    async with AsyncExitStack() as stack:
        for plugin in (find("storage", name) for name in storage_names()):
            storages.append(await stack.enter_async_context(plugin.make(settings(plugin), host)))
        yield router
