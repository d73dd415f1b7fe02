"""What is the same for all stores that are not on this machine."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from msgspec.structs import replace

from funnel.core.error import Invalid, NotFound
from funnel.core.url import redacted
from funnel.ports import Object, Share, Store
from funnel.storage.content import PART, FileContent
from funnel.storage.download import BUFFER, Download
from funnel.storage.landing import Corrupt
from funnel.storage.patience import Changed, Patience, Watch
from funnel.storage.share import Unlimited

MOST: Final = 1_000_000
"""Objects below one directory."""
MORE_PARTS: Final = 3
"""Of a large upload, beside the first one."""
ABREAST: Final = 8
"""Files of one directory on their way at once."""
BEGINNINGS: Final = 3
"""Times that a download is begun anew, since the object has changed or what came is wrong."""
UPLOAD_STALL: Final = 10
"""Times longer than of a download: what is held of parts is not seen to move."""


class RemoteStorage:
    """
    Answers `ports.Storage` for a `Store`.

    Where there are no directories a URL is that of a file, however it ends.
    """

    def __init__(
        self, store: Store, patience: Patience | None = None, *, has_directories: bool = True
    ) -> None:
        self.store = store
        self._patience = patience or Patience()
        self._has_directories = has_directories

    def takes(self, url: str) -> bool:
        return self.store.takes(url)

    def in_place(self, url: str) -> Path | None:
        del url
        return None

    def shared(self, url: str) -> bool:
        del url
        return False

    def roots(self) -> tuple[str, ...]:
        return ()

    async def stat(self, url: str) -> Object:
        try:
            return replace(await self._stat(url), url=url)
        except NotFound:
            if await self._is_directory(url):
                return Object(url, 0)
            raise

    async def list_objects(self, url: str) -> Sequence[Object]:
        return await self._patience.persist(lambda: self._list(url), lambda: 0)

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        share = share or Unlimited()
        try:
            if not (url.endswith("/") and self._has_directories):
                return await self._get_file(url, to, share)
        except NotFound:
            if not await self._is_directory(url):
                raise
        return await self._get_directory(url, to, share)

    async def put(self, source: IO[bytes], url: str, share: Share | None = None) -> Object:
        share = share or Unlimited()
        watch = Watch(redacted(url), self._patience.stall * UPLOAD_STALL)

        def moved(count: int) -> None:
            watch.add(count)
            share.moved(count)

        content = FileContent(source, moved)
        memory = PART * 2 if content.is_large else content.size
        more = MORE_PARTS if content.is_large else 0
        async with share.place(memory), share.spare(more, PART) as spare:
            content.abreast += spare
            if not content.repeatable:
                return await self._write(url, content, watch)
            return await self._patience.persist(lambda: self._write(url, content, watch), lambda: 0)

    async def _stat(self, url: str) -> Object:
        return await self._patience.persist(lambda: self.store.stat(url), lambda: 0)

    async def _is_directory(self, url: str) -> bool:
        if not self._has_directories:
            return False
        async for one in self.store.list_objects(_directory(url)):
            if one.name:
                return True
        return False

    async def _list(self, url: str) -> Sequence[Object]:
        base, found = _directory(url), list[Object]()
        async for one in self.store.list_objects(base):
            # Some tools store the name of a directory as an object without content.
            if one.name and not one.name.endswith("/"):
                found.append(replace(one, url=f"{base}{one.name}"))
            if len(found) > MOST:
                raise Invalid(f"{redacted(url)} has more than {MOST} files; use an archive")
        return sorted(found, key=lambda one: one.name)

    async def _get_file(self, url: str, to: Path, share: Share) -> Object:
        async with share.place(BUFFER):
            for left in reversed(range(BEGINNINGS)):
                try:
                    return await Download(self.store, url, share, self._patience).to(to)
                except (Changed, Corrupt):
                    if not left:
                        raise
            raise AssertionError

    async def _get_directory(self, url: str, to: Path, share: Share) -> Object:
        waiting = iter(await self.list_objects(url))

        async def work() -> None:
            for one in waiting:
                await self._get_file(one.url, to.joinpath(*one.below()), share)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(ABREAST):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return Object(url, 0)

    async def _write(self, url: str, content: FileContent, watch: Watch) -> Object:
        async with watch.watching():
            stored = await self.store.write(url, content)
        wanted = stored.checksums.get("md5", "")
        if content.md5 and wanted and content.md5 != wanted:
            raise Corrupt(f"{redacted(url)} has the MD5 {wanted}, and was sent as {content.md5}")
        return replace(stored, url=url, size_bytes=content.count)


def _directory(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"
