"""Objects at `swift://`: moves bytes; what all remote stores have in common is done around it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import md5
from typing import Final

from funnel.core.error import Denied, FunnelError, NotFound
from funnel.core.url import redacted
from funnel.net.client import Answer
from funnel.ports import Clock, Content, Object, Reading
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.swift.door import Door
from funnel.storage.swift.listing import is_directory, items
from funnel.storage.swift.place import Place, existing, named, path_of, place_of
from funnel.storage.swift.plugin import SCHEME
from funnel.storage.swift.segments import Old, Segments
from funnel.storage.swift.upload import Upload
from funnel.storage.web import date_of, ranged, reading, size_of

log = logging.getLogger(__name__)

MD5: Final = 32
"""Digits."""
LARGE: Final = ("X-Static-Large-Object", "X-Object-Manifest")
"""Headers of objects whose ETag is not the MD5 of their content."""
STALE: Final = timedelta(days=1)
"""An upload that began earlier has been left by who began it."""
AGAIN: Final = 60.0
"""Seconds after which it is looked again whether a container has large objects by now."""


class SwiftStore:
    """Answers `ports.Store` and `ports.Sweeper`."""

    def __init__(self, door: Door, now: Clock) -> None:
        self._door = door
        self._now = now
        self._without: dict[str, float] = {}
        """Containers without large objects, and until when they are taken for such."""

    def takes(self, url: str) -> bool:
        return url.startswith(SCHEME)

    async def stat(self, url: str) -> Object:
        call = Call(url=url, deed="looking", path=existing(url).path, method="HEAD")
        async with self._door.ask(call) as answer:
            return _described(url, answer)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        place = place_of(url)
        async for one in items(self._door, place.container, place.name, url):
            if not one.is_directory:
                yield Object(
                    url,
                    one.bytes,
                    one.name.removeprefix(place.name),
                    etag=one.etag,
                    last_modified=one.changed,
                )

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        call = Call(
            url=url,
            deed="reading",
            path=existing(url).path,
            headers=ranged(start, end),
            brief=False,
        )
        async with self._door.ask(call) as answer:
            yield reading(answer, _described(url, answer))

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        place = named(url)
        segments = Segments(self._door, place, url)
        is_small = 0 <= content.size <= 2 * PART
        has_old = not is_small or await self._may_be_large(place, url)
        old = await segments.old() if has_old else Old()
        if is_small:
            body = await content.whole()
            etag = await asyncio.to_thread(lambda: md5(body, usedforsecurity=False).hexdigest())
            await self._door.put(url, place.path, body, etag, overwrite=overwrite)
            stored = Object(url, len(body), etag=etag)
        else:
            await self._clear(segments, url)
            sent = await Upload(self._door, place, url, overwrite=overwrite).send(content)
            self._without.pop(place.container, None)
            stored = Object(url, sent.size, etag=sent.etag)
        await segments.forget(old)
        return stored

    async def sweep(self, url: str, age: timedelta) -> int:
        """Remove what uploads that were broken off left; how many they were."""
        return await Segments(self._door, place_of(url), url).sweep(self._now() - age)

    async def _may_be_large(self, place: Place, url: str) -> bool:
        """Whether there may be large objects in the container."""
        now = asyncio.get_running_loop().time()
        if self._without.get(place.container, now) > now:
            return False
        call = Call(url=url, deed="looking", path=path_of(place.segments), method="HEAD")
        try:
            await self._door.content(call)
        except (NotFound, Denied):
            self._without[place.container] = now + AGAIN
            return False
        return True

    async def _clear(self, segments: Segments, url: str) -> None:
        """What an earlier upload of ours to this name left; not everybody may look for it."""
        try:
            count = await segments.sweep(self._now() - STALE)
        except FunnelError as error:
            log.debug("%s", error)
        else:
            if count:
                log.info("removed what %d broken uploads to %s left", count, redacted(url))


def _described(url: str, answer: Answer) -> Object:
    headers = answer.headers
    if is_directory(headers.get("Content-Type", "")):
        raise NotFound(f"{redacted(url)} is no file")
    etag = headers.get("ETag", "").strip('"')
    is_sum = len(etag) == MD5 and not any(name in headers for name in LARGE)
    return Object(
        url,
        size_of(answer),
        etag=etag,
        last_modified=date_of(headers.get("Last-Modified", "")),
        checksums={"md5": etag} if is_sum else {},
    )
