"""Files of this machine as a store with tags has them, in this process and in others."""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from funnel.ports import Object, Share
from funnel.storage.cache import CachedStorage
from funnel.storage.local import LocalStorage
from funnel.storage.shelf import Shelf


class Tagged(LocalStorage):
    """The tag is when a file was changed; each that is brought is a line of the file `brought`."""

    def __init__(self, home: Path, *, stuck: bool = False) -> None:
        super().__init__([home])
        self._brought = home / "brought"
        self._stuck = stuck
        self.is_stuck = asyncio.Event()

    async def stat(self, url: str) -> Object:
        found = await super().stat(url)
        return replace(found, etag=str(found.last_modified))

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        with self._brought.open("a") as log:
            log.write(f"{url}\n")
        if self._stuck:
            (to.parent / "unfinished").write_bytes(bytes(1000))
            self.is_stuck.set()
            sys.stdout.write("stuck\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
        found = await self.stat(url)
        return replace(await super().get(url, to, share), etag=found.etag)


@dataclass(slots=True)
class Counts:
    """Answers `storage.cache.Counts`."""

    files: Counter[str] = field(default_factory=Counter[str])
    size: Counter[str] = field(default_factory=Counter[str])

    def input_cached(self, result: str, size: int) -> None:
        self.files[result] += 1
        self.size[result] += size


def cached(
    home: Path, size: int = 1 << 20, counts: Counts | None = None, *, stuck: bool = False
) -> CachedStorage:
    shelf = Shelf(home / "shelf", size)
    shelf.open()
    return CachedStorage(Tagged(home, stuck=stuck), shelf, counts or Counts())


async def _get_all(home: Path, to: Path, urls: list[str], *, stuck: bool) -> None:
    storage = cached(home, stuck=stuck)
    await asyncio.gather(*(storage.get(url, to / url.rpartition("/")[2]) for url in urls))


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    os.umask(0o077)
    asyncio.run(
        _get_all(Path(asked["home"]), Path(asked["to"]), asked["urls"], stuck=asked["stuck"])
    )
