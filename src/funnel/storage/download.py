"""Bringing one file from a store."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from funnel.core.error import Unavailable
from funnel.core.url import redacted
from funnel.ports import Object, Reading, Share, Store
from funnel.storage.landing import Landing
from funnel.storage.patience import Changed, Patience, Watch
from funnel.together import Group, grouped

SLICE: Final = 16 << 20
"""Bytes that a further connection brings at a time, from the end of the file."""
AFTER: Final = 1.0
"""Seconds until further connections are thought of."""
FAST: Final = 200 << 20
"""Bytes a second that one connection may have; more of them would only take turns."""
MOST: Final = 3
"""Further connections for one file."""
BUFFER: Final = 4 << 20
"""Bytes that a connection holds."""
SUMS: Final = ("md5", "sha256", "sha1", "sha512")
"""Which checksum is looked at, where there are several."""


class Download:
    """
    One version of one file, to one place, once.

    A connection reads from the start, and goes on where it broke off. Where it is slow, and
    connections are to spare, others bring slices from the end until the two meet; not where it
    is to be `alone`.
    """

    def __init__(
        self, store: Store, url: str, share: Share, patience: Patience, *, alone: bool = False
    ) -> None:
        self._store = store
        self._url = url
        self._share = share
        self._patience = patience
        self._alone = alone
        self._found: Object | None = None
        self._ranged = False
        self._helping: asyncio.Task[None] | None = None
        self._come = 0
        """Bytes from the start."""
        self._end = -1
        """Where what others bring begins; -1 where the size is not known."""
        self._moved = 0

    async def to(self, path: Path) -> Object:
        """Raises `Changed` or `Corrupt` where it has to be begun anew."""
        landing = Landing(path, redacted(self._url))
        try:
            await self._whole(landing)
            found = self._found or Object(self._url, 0)
            size = self._come if found.size_bytes < 0 else found.size_bytes
            checksum = found.checksums.get(landing.algorithm, "")
            await landing.finish(size, self._come, checksum)
        except BaseException as error:
            await landing.abandon(error)
            raise
        return Object(self._url, size, etag=found.etag, last_modified=found.last_modified)

    async def _whole(self, landing: Landing) -> None:
        async with grouped() as group:
            await self._patience.persist(lambda: self._main(landing, group), lambda: self._moved)
            if self._helping and self._end == self._size():
                self._helping.cancel()

    @property
    def _met(self) -> bool:
        """While a large piece is taken, a slice may begin within it."""
        return 0 <= self._end <= self._come

    @property
    def _may_be_helped(self) -> bool:
        return self._ranged and not self._alone and self._end - self._come > 2 * SLICE

    def _size(self) -> int:
        return self._found.size_bytes if self._found else -1

    async def _main(self, landing: Landing, group: Group) -> None:
        """One try to come to the end, or to what others bring."""
        if self._found and self._met:
            return
        async with AsyncExitStack() as stack:
            watch, reading = await self._begun(stack, self._come, None)
            if not landing.algorithm and not self._come:
                sums = reading.found.checksums
                landing.algorithm = next((one for one in SUMS if one in sums), "")
            if self._may_be_helped and not self._helping:
                self._helping = group.create_task(self._help(landing))
            await self._take(reading, watch, landing)
        if self._come < self._end:
            raise Unavailable(
                f"{redacted(self._url)} ended after {self._come} of {self._size()} bytes"
            )

    async def _take(self, reading: Reading, watch: Watch, landing: Landing) -> None:
        skip = self._come - reading.start
        if skip < 0:
            raise Unavailable(
                f"{redacted(self._url)} was answered from byte {reading.start} on,"
                f" not from {self._come}"
            )
        async for piece in reading.pieces:
            watch.add(len(piece))
            new = piece[skip:]
            if skip and not await landing.has(piece[:skip], self._come - skip):
                # Without a strong tag or a date nothing else tells versions apart.
                raise Changed(f"{redacted(self._url)} changed while it was read")
            skip -= len(piece) - len(new)
            if self._end >= 0:
                new = new[: self._end - self._come]
            if new:
                await landing.take(new, self._come)
                self._come += len(new)
                self._count(len(new))
            if self._met:
                return

    async def _begun(
        self, stack: AsyncExitStack, start: int, end: int | None
    ) -> tuple[Watch, Reading]:
        watch = Watch(redacted(self._url), self._patience.stall)
        await stack.enter_async_context(watch.watching())
        etag = self._found.etag if self._found else ""
        reading = await stack.enter_async_context(self._store.read(self._url, start, end, etag))
        self._agree(reading)
        return watch, reading

    def _agree(self, reading: Reading) -> None:
        found, before = reading.found, self._found
        if before is None:
            self._found, self._end, self._ranged = found, found.size_bytes, reading.ranged
        elif _version(before) != _version(found) or (
            min(before.size_bytes, found.size_bytes) >= 0 and before.size_bytes != found.size_bytes
        ):
            raise Changed(f"{redacted(self._url)} changed while it was read")
        elif before.size_bytes < 0:
            # A part is told of with the size of the whole, where the whole was sent without it.
            self._found, self._end = replace(before, size_bytes=found.size_bytes), found.size_bytes

    def _count(self, count: int) -> None:
        self._moved += count
        self._share.moved(count)

    async def _help(self, landing: Landing) -> None:
        """Bring slices over further connections, where that pays."""
        await asyncio.sleep(AFTER)
        if self._come > FAST * AFTER:
            return
        async with self._share.spare(MOST, BUFFER) as count, grouped() as group:
            for _ in range(count):
                group.create_task(self._slices(landing))

    async def _slices(self, landing: Landing) -> None:
        while self._may_be_helped:
            self._end -= SLICE
            part = _Slice(self._end, self._end + SLICE)
            await self._patience.persist(partial(self._slice, part, landing), lambda: self._moved)

    async def _slice(self, part: "_Slice", landing: Landing) -> None:
        async with AsyncExitStack() as stack:
            watch, reading = await self._begun(stack, part.at, part.end)
            if reading.start != part.at:
                raise Changed(f"{redacted(self._url)} gives parts no more")
            async for piece in reading.pieces:
                if part.at >= part.end:
                    # More comes than was asked for, and may do so for ever.
                    break
                watch.add(len(piece))
                new = piece[: part.end - part.at]
                await landing.write(new, part.at)
                part.at += len(new)
                self._count(len(new))
        if part.at < part.end:
            raise Unavailable(f"a part of {redacted(self._url)} ended early")


class _Slice:
    """What is left of a part."""

    def __init__(self, at: int, end: int) -> None:
        self.at = at
        self.end = end


def _version(found: Object) -> object:
    return found.etag or found.last_modified
