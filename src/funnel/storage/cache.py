"""Inputs that several tasks of a machine want, brought once."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from msgspec import json
from msgspec.structs import replace

from funnel.core.error import Denied, Invalid, NoSpace
from funnel.core.url import redacted
from funnel.net.jitter import chance, jittered
from funnel.ports import Around, Object, Share, Storage
from funnel.safepath import copy, opened, whole_file
from funnel.storage.shelf import Lock, Shelf
from funnel.storage.threads import ended, to_the_end, until_stopped

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.2
"""Seconds, while another brings the same file."""


class Counts(Protocol):
    def input_cached(self, result: str, size: int) -> None:
        """One file of so many bytes: a `hit` or a `miss`."""
        ...


class CachedStorage(Around):
    """
    What the other storage has brought before comes from a shelf.

    The store is asked each time, by the present settings and credentials, what it has, and only
    the very same is taken from the shelf: the URL, the tag and checksums, and the size are its
    key. What has no strong tag and no checksum is brought each time. Each task gets a copy, in
    which a container may write. A file is cached by itself, and a directory is not.
    """

    def __init__(self, storage: Storage, shelf: Shelf, counts: Counts) -> None:
        super().__init__(storage)
        self._shelf = shelf
        self._counts = counts

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        found = await self._look(url)
        if found is None or found.size_bytes > self._shelf.size:
            return await self._storage.get(url, to, share)
        try:
            if await self._cached(found, to, share):
                return replace(found, name="", checksums={})
        except (NoSpace, OSError) as error:
            log.warning("Worker.InputCache: %s is brought past it: %s", redacted(url), error)
        return await self._storage.get(url, to, share)

    async def _look(self, url: str) -> Object | None:
        """None for what cannot be told from another version of it."""
        try:
            found = await self._storage.stat(url)
        except (Denied, Invalid):
            # As of an address that was signed for reading alone; reading it says what is wrong.
            return None
        strong = found.etag and not found.etag.startswith("W/")
        return found if found.size_bytes > 0 and (strong or found.checksums) else None

    async def _cached(self, found: Object, to: Path, share: Share | None) -> bool:
        """Whether it came from the shelf, or by it."""
        key = _key(found)
        while not await self._taken(key, found, to):
            async with self._locked(key) as lock:
                if lock and await self._taken(key, found, to):
                    break
                if lock:
                    self._counts.input_cached("miss", found.size_bytes)
                    return await self._brought(key, found, to, share)
            await asyncio.sleep(jittered(LOOK_EVERY, chance()))
        self._counts.input_cached("hit", found.size_bytes)
        if share:
            share.moved(found.size_bytes)
        return True

    async def _taken(self, key: str, found: Object, to: Path) -> bool:
        return await until_stopped(lambda check: self._take(key, found, to, check))

    def _take(self, key: str, found: Object, to: Path, check: Callable[[], None]) -> bool:
        fd = self._shelf.find(key)
        if fd is None:
            return False
        with os.fdopen(fd, "rb") as file:
            if os.fstat(fd).st_size != found.size_bytes:
                return False
            with (
                opened(to.parent.resolve()) as directory,
                whole_file(directory, to.name, durable=False) as made,
            ):
                copy(file, made, check)
        return True

    async def _brought(self, key: str, found: Object, to: Path, share: Share | None) -> bool:
        try:
            part = await to_the_end(lambda: self._shelf.reserve(key, found.size_bytes))
            if part is None:
                return False
            got = await self._storage.get(found.url, part, share)
            if not (_is_same(got, found) or await to_the_end(lambda: _has_sum(part, found))):
                return False
            await to_the_end(lambda: self._shelf.keep(key))
        finally:
            await to_the_end(lambda: self._shelf.give_up(key))
        return await self._taken(key, found, to)

    @asynccontextmanager
    async def _locked(self, key: str) -> AsyncGenerator[Lock | None]:
        taking = asyncio.create_task(asyncio.to_thread(self._shelf.lock, key))
        try:
            await ended(taking)
            yield taking.result()
        finally:
            lock = None if taking.exception() else taking.result()
            if lock:
                await to_the_end(lock.release)


def _is_same(got: Object, found: Object) -> bool:
    return bool(found.etag) and (got.size_bytes, got.etag) == (found.size_bytes, found.etag)


def _has_sum(path: Path, found: Object) -> bool:
    """A store may have other tags, or none, for what it sends, as those behind DRS; blocks."""
    if not found.checksums:
        return False
    algorithm, wanted = next(iter(found.checksums.items()))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest() == wanted


def _key(found: Object) -> str:
    """Nothing of a URL, which may have a password in it, can be read in the name of a file."""
    said = (found.url, found.etag, found.size_bytes, sorted(found.checksums.items()))
    return hashlib.sha256(json.encode(said)).hexdigest()
