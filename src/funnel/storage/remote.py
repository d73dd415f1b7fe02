"""What is the same for all stores that are not on this machine."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from msgspec.structs import replace

from funnel.core.error import Denied, Exists, Invalid, NotFound
from funnel.core.url import redacted
from funnel.ports import Object, Share, Store, Sweeper, refuse_twins
from funnel.storage.content import PART, FileContent
from funnel.storage.download import BUFFER, Download
from funnel.storage.landing import Corrupt
from funnel.storage.patience import Changed, Patience, Watch
from funnel.storage.share import ForFile, Unlimited
from funnel.storage.writing import Writing
from funnel.together import grouped

MOST: Final = 1_000_000
"""Objects below one directory."""
MORE_PARTS: Final = 3
"""Of a large upload, beside the first one."""
ABREAST: Final = 32
"""Files of one directory on their way at once."""
BEGINNINGS: Final = 3
"""Times that a download is begun anew, since the object has changed or what came is wrong."""
NOTHING: Final[Mapping[str, str]] = {}
UNSEEN: Final = 10
"""
Times longer than of a download: what is held of the parts of an upload is not seen to move, nor
the directories without files that a list goes through.
"""


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

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        share = share or Unlimited()
        if not overwrite:
            await self._refuse_existing(url)
        watch = Watch(redacted(url), self._patience.stall * UNSEEN)

        def moved(count: int) -> None:
            watch.add(count)
            share.moved(count)

        content = FileContent(source, redacted(url), moved)
        memory = PART * 2 if content.is_large else content.size
        more = MORE_PARTS if content.is_large else 0
        async with share.place(memory), share.spare(more, PART) as spare:
            content.abreast += spare
            writing = Writing(self.store, url, content, watch, overwrite=overwrite)
            if not content.repeatable:
                return await writing.once()
            return await self._patience.persist(writing.once, lambda: 0)

    async def sweep(self, url: str, age: timedelta) -> int:
        """Raises `Invalid` where nothing is left that nobody sees."""
        if not isinstance(self.store, Sweeper):
            raise Invalid(f"nothing is left behind at {redacted(url)} that could be swept")
        return await self.store.sweep(url, age)

    async def _stat(self, url: str) -> Object:
        return await self._patience.persist(lambda: self._stat_once(url), lambda: 0)

    async def _stat_once(self, url: str) -> Object:
        async with Watch(redacted(url), self._patience.stall).watching():
            return await self.store.stat(url)

    async def _refuse_existing(self, url: str) -> None:
        """Before anything is sent; and a store that knows no conditions has been asked at least."""
        with suppress(NotFound, Denied, Invalid):
            await self._stat(url)
            raise Exists(f"there is {redacted(url)} already, and nothing is replaced")

    async def _is_directory(self, url: str) -> bool:
        if not self._has_directories:
            return False
        return bool(await self._patience.persist(lambda: self._below(url, 1), lambda: 0))

    async def _list(self, url: str) -> Sequence[Object]:
        found = await self._below(url, MOST + 1)
        # Some tools store the name of a directory as an object without content.
        found[:] = (one for one in found if one.name[-1] != "/")
        found.sort(key=lambda one: one.name)
        return found

    async def _below(self, url: str, most: int) -> list[Object]:
        """The first of all that have names there; given up when nothing comes for long."""
        found, seen, base = list[Object](), 0, _directory(url)
        watch = Watch(redacted(url), self._patience.stall * UNSEEN)
        async with watch.watching():
            names = self.store.list_objects(base)
            try:
                async for one in names:
                    watch.reset()
                    seen += 1
                    if seen > MOST:
                        raise Invalid(f"{redacted(url)} has more than {MOST} files; use an archive")
                    if one.name:
                        found.append(_listed(one, base))
                    if len(found) == most:
                        break
            finally:
                if isinstance(names, AsyncGenerator):
                    await names.aclose()
        return found

    async def _get_file(self, url: str, to: Path, share: Share) -> Object:
        async with share.place(BUFFER):
            for left in reversed(range(BEGINNINGS)):
                alone = left < BEGINNINGS - 1
                download = Download(self.store, url, share, self._patience, alone=alone)
                try:
                    return await download.to(to)
                except (Changed, Corrupt):
                    if not left:
                        raise
            raise AssertionError

    async def _get_directory(self, url: str, to: Path, share: Share) -> Object:
        found = await self.list_objects(url)
        refuse_twins(found)
        waiting = iter(found)

        async def work() -> None:
            for one in waiting:
                sized = ForFile(share, one.size_bytes)
                await self._get_file(one.url, to.joinpath(*one.below()), sized)

        async with grouped() as group:
            for _ in range(ABREAST):
                group.create_task(work())
        return Object(url, 0)


def _listed(one: Object, base: str) -> Object:
    """There may be a million of them: what says nothing is there once."""
    return replace(one, url=f"{base}{one.name}", checksums=one.checksums or NOTHING)


def _directory(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"
