"""A storage as one user may use it."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from funnel.core.storageaccess import StorageRules, Way, local_path
from funnel.ports import Around, Object, Share, Storage, judged_by


class Permitted(Around):
    """
    Answers for tasks of `user`.

    Raises `Denied` where the rules do not allow it, before anything is asked of the other. Of
    files on this machine the place counts to which links lead, as well as the one that is named.
    Where the other is led on to further URLs, as by DRS, those are judged as if the user had
    written them.
    """

    def __init__(self, storage: Storage, rules: StorageRules, user: str) -> None:
        super().__init__(storage)
        self._rules = rules.with_real(os.path.realpath)
        self._user = user

    def in_place(self, url: str) -> Path | None:
        self._demand(Way.READ, url)
        return self._storage.in_place(url)

    def shared(self, url: str) -> bool:
        """What the user may only read is mounted as any other input is."""
        if not self._rules.allows(self._user, Way.WRITE, url):
            return False
        path = local_path(url)
        is_free = not path or self._rules.allows(self._user, Way.WRITE, os.path.realpath(path))
        return is_free and self._storage.shared(url)

    async def stat(self, url: str) -> Object:
        await self._demanded(Way.READ, url)
        with judged_by(self._judge):
            return await self._storage.stat(url)

    async def list_objects(self, url: str) -> Sequence[Object]:
        await self._demanded(Way.READ, url)
        with judged_by(self._judge):
            return await self._storage.list_objects(url)

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        await self._demanded(Way.READ, url)
        with judged_by(self._judge):
            return await self._storage.get(url, to, share)

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        await self._demanded(Way.WRITE, url)
        return await self._storage.put(source, url, share, overwrite=overwrite)

    async def _demanded(self, way: Way, url: str) -> None:
        if local_path(url):
            await asyncio.to_thread(self._demand, way, url)
        else:
            self._demand(way, url)

    def _judge(self, url: str) -> None:
        self._rules.demand(self._user, Way.READ, url)

    def _demand(self, way: Way, url: str) -> None:
        """Blocks where it is a file of this machine."""
        self._rules.demand(self._user, way, url)
        if path := local_path(url):
            self._rules.demand(self._user, way, os.path.realpath(path))


def permitted(storage: Storage, rules: StorageRules, user: str) -> Storage:
    """The storage itself where there are no rules."""
    return Permitted(storage, rules, user) if rules else storage
