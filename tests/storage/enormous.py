"""Moves a file of over 1 GiB in a process of its own, and prints how many bytes that took."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from funnel.ports import Content, Object, Piece, Reading
from funnel.service.budget import Budget
from funnel.storage.content import PART
from funnel.storage.remote import RemoteStorage

SIZE = (1 << 30) + 12_345
MEMORY = 64 << 20
URL = "zero://file"


class Zeros:
    """Answers `ports.Store` with one file of nothing, and forgets what it is given."""

    def takes(self, url: str) -> bool:
        return url == URL

    async def stat(self, url: str) -> Object:
        return Object(url, SIZE)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        yield Object(url, SIZE)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        yield Reading(found=Object(url, SIZE), start=start, pieces=self._pieces(start, end or SIZE))

    async def _pieces(self, at: int, end: int) -> AsyncIterator[bytes]:
        while at < end:
            piece = bytes(min(end - at, 1 << 20))
            at += len(piece)
            await asyncio.sleep(0)
            yield piece

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        """With as many parts on their way as it may have."""
        del overwrite
        held, size = deque[Piece](maxlen=content.abreast), 0
        async for part in content.pieces(PART):
            held.append(part)
            size += len(part)
        return Object(url, size)


def peak() -> int:
    """Bytes that this process had at most since it began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) << 10 for one in lines if one.startswith("VmHWM"))


async def move(way: str, path: Path) -> None:
    share, storage = Budget(memory=MEMORY).share(), RemoteStorage(Zeros())
    if way == "get":
        assert (await storage.get(URL, path, share)).size_bytes == SIZE
        return
    with path.open("w+b") as file:
        file.truncate(SIZE)
        assert (await storage.put(file, URL, share)).size_bytes == SIZE


if __name__ == "__main__":
    before = peak()
    asyncio.run(move(sys.argv[1], Path(sys.argv[2])))
    sys.stdout.write(str(peak() - before))
