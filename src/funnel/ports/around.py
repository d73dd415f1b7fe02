"""A storage around another."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from funnel.ports.storage import Object, Share, Storage


class Around:
    """Answers `ports.Storage` as another does; who inherits says what is different."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def takes(self, url: str) -> bool:
        return self._storage.takes(url)

    def in_place(self, url: str) -> Path | None:
        return self._storage.in_place(url)

    def shared(self, url: str) -> bool:
        return self._storage.shared(url)

    def roots(self) -> tuple[str, ...]:
        return self._storage.roots()

    async def stat(self, url: str) -> Object:
        return await self._storage.stat(url)

    async def list_objects(self, url: str) -> Sequence[Object]:
        return await self._storage.list_objects(url)

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        return await self._storage.get(url, to, share)

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        return await self._storage.put(source, url, share, overwrite=overwrite)
