"""A storage that takes nothing from a worker whose attempt may be another's by now."""

from collections.abc import Awaitable, Callable
from typing import IO

from funnel.ports import Around, Object, Share, Storage


class Gated(Around):
    """Nothing is stored before `open_` has returned."""

    def __init__(self, storage: Storage, open_: Callable[[], Awaitable[None]]) -> None:
        super().__init__(storage)
        self._open = open_

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        await self._open()
        return await self._storage.put(source, url, share, overwrite=overwrite)
