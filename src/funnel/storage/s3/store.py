"""Objects at `s3://`: moves bytes; what all remote stores have in common is done around it."""

import asyncio
import logging
from base64 import b64decode
from binascii import Error as Malformed
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from msgspec.structs import replace

from funnel.core.error import FunnelError, Invalid, NotFound
from funnel.core.url import redacted
from funnel.net.client import Answer
from funnel.ports import Clock, Content, Object, Reading
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.s3.address import Address, named
from funnel.storage.s3.answers import QUOTED_NAMES, following, page_of
from funnel.storage.s3.bucket import Bucket
from funnel.storage.s3.upload import Upload, sweep
from funnel.storage.threads import ended
from funnel.storage.web import date_of, ranged, reading, size_of
from funnel.storage.xml import Listing

log = logging.getLogger(__name__)

MD5: Final = 32
"""Digits."""
ENCRYPTION: Final = "x-amz-server-side-encryption"
ASKING: Final = {"x-amz-checksum-mode": "ENABLED"}
"""For checksums that the store has beside the ETag; with a range they may be of a part."""
SUMS: Final = ("sha256", "sha1")
NEW: Final[Mapping[str, str]] = {"If-None-Match": "*"}
"""Store it only where nothing has its name."""


class Doors(Protocol):
    """Which bucket a URL means, and how it is reached."""

    async def bucket(self, url: str) -> tuple[Bucket, Address]:
        """Raises `Invalid` for a URL that means none."""
        ...


class S3Store:
    """Answers `ports.Store`, but for `takes`."""

    def __init__(self, doors: Doors, now: Clock) -> None:
        self._doors = doors
        self._now = now

    async def stat(self, url: str) -> Object:
        bucket, address = await self._existing(url)
        call = Call(url=url, deed="looking", method="HEAD", path=address.path, headers=ASKING)
        async with AsyncExitStack() as stack:
            return _described(url, await _found(bucket, call, stack))

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        bucket, address = await self._doors.bucket(url)
        async with aclosing(_pages(bucket, address.key, url)) as pages:
            async for page in pages:
                for one in page.things:
                    yield _listed(url, address.key, one)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        bucket, address = await self._existing(url)
        call = Call(
            url=url,
            deed="reading",
            path=address.path,
            headers=ranged(start, end) or ASKING,
            brief=False,
        )
        async with AsyncExitStack() as stack:
            answer = await _found(bucket, call, stack)
            yield reading(answer, _described(url, answer))

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        bucket, address = await self._doors.bucket(url)
        named(url, address)
        condition = {} if overwrite else NEW
        if 0 <= content.size <= 2 * PART:
            body = await content.whole()
            call = Call(
                url=url,
                deed="storing",
                method="PUT",
                path=address.path,
                headers={**bucket.terms.writing, **condition},
                body=body,
                brief=False,
            )
            headers = await bucket.headers(call)
            return Object(url, len(body), etag=headers.get("ETag", ""))
        await self._clear(bucket, address.key, url)
        etag = await Upload(bucket, address.path, url, condition).send(content)
        return Object(url, max(content.size, 0), etag=etag)

    async def sweep(self, url: str, age: timedelta) -> int:
        """Remove what uploads that were broken off left; how many they were."""
        bucket, address = await self._doors.bucket(url)
        return await sweep(bucket, address.key, url, self._now, age)

    async def _existing(self, url: str) -> tuple[Bucket, Address]:
        """No file has the name of a directory."""
        bucket, address = await self._doors.bucket(url)
        if not address.key or address.key.endswith("/"):
            raise NotFound(f"{redacted(url)} is no file")
        return bucket, address

    async def _clear(self, bucket: Bucket, key: str, url: str) -> None:
        """What an earlier upload of ours to this key left; not everybody may look for it."""
        try:
            count = await sweep(bucket, key, url, self._now)
        except FunnelError as error:
            log.debug("%s", error)
        else:
            if count:
                log.info("removed what %d broken uploads to %s left", count, redacted(url))


async def _found(bucket: Bucket, call: Call, stack: AsyncExitStack) -> Answer:
    """Objects may have been stored without the key that we have for the others."""
    if not bucket.terms.reading:
        return await bucket.answer(call, stack)
    more = {**call.headers, **bucket.terms.reading}
    try:
        async with AsyncExitStack() as trying:
            answer = await bucket.answer(replace(call, headers=more), trying)
            stack.push_async_exit(trying.pop_all())
            return answer
    except Invalid:
        return await bucket.answer(call, stack)


async def _pages(bucket: Bucket, prefix: str, url: str) -> AsyncGenerator[Listing]:
    """Of a list; the one that seems to follow is on its way while one is read."""

    def asked(token: str) -> asyncio.Task[bytes]:
        more = {"continuation-token": token} if token else {}
        query = {"list-type": "2", "prefix": prefix, **QUOTED_NAMES, **more}
        call = Call(url=url, deed="listing", query=query)
        return asyncio.create_task(bucket.content(call))

    coming: asyncio.Task[bytes] | None = asked("")
    try:
        while coming:
            content, coming = await coming, None
            if guess := following(content):
                coming = asked(guess)
                # So that it is sent.
                await asyncio.sleep(0)
            page = page_of(content, "Contents", url)
            is_last = page.said.get("IsTruncated") != "true"
            token = "" if is_last else page.said.get("NextContinuationToken", "")
            if coming and token != guess:
                coming.cancel()
                await ended(coming)
            if token != guess:
                coming = asked(token) if token else None
            yield page
    finally:
        if coming:
            coming.cancel()
            await ended(coming)


def _described(url: str, response: Answer) -> Object:
    headers = response.headers
    return Object(
        url,
        size_of(response),
        etag=headers.get("ETag", ""),
        last_modified=date_of(headers.get("Last-Modified", "")),
        checksums=checksums(headers),
    )


def checksums(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Of the whole object, which those of several parts are not."""
    found: dict[str, str] = {}
    tag = headers.get("ETag", "").strip('"').lower()
    sealed = headers.get(ENCRYPTION, "").startswith("aws:kms")
    sealed = sealed or f"{ENCRYPTION}-customer-algorithm" in headers
    if len(tag) == MD5 and not sealed and not set(tag) - set("0123456789abcdef"):
        found["md5"] = tag
    if "Content-Range" in headers or headers.get("x-amz-checksum-type") == "COMPOSITE":
        return found
    for name in SUMS:
        value = headers.get(f"x-amz-checksum-{name}", "")
        with suppress(Malformed):
            digest = b64decode(value, validate=True).hex()
            found |= {name: digest} if digest else {}
    return found


def _listed(url: str, prefix: str, one: Mapping[str, str]) -> Object:
    modified = one.get("LastModified", "")
    return Object(
        url,
        int(one.get("Size") or 0),
        one.get("Key", "").removeprefix(prefix),
        etag=one.get("ETag", ""),
        last_modified=_moment(modified) if modified else None,
    )


@lru_cache
def _moment(text: str) -> datetime:
    """There may be a million names, and many are of one second."""
    return datetime.fromisoformat(text).astimezone(UTC)
