"""Large files in parts: all of them, or none that stays."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import md5
from html import escape
from typing import Final

from funnel.core.error import Exists, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.ports import Clock, Content, Piece
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.parts import in_parts, tried
from funnel.storage.s3.address import path_of
from funnel.storage.s3.answers import QUOTED_NAMES, page_of
from funnel.storage.s3.bucket import Bucket
from funnel.storage.s3.failure import answer_of
from funnel.storage.threads import ended
from funnel.storage.xml import Listing, Unreadable, element

log = logging.getLogger(__name__)

MOST: Final = 10_000
"""Parts of one upload."""
STALE: Final = timedelta(days=1)
"""An upload that began earlier has been left by who began it."""
PATIENCE: Final = 30.0
"""Seconds for the store to forget an upload."""
MEBIBYTE: Final = 1 << 20
REPLACED: Final = "\ufffd"
"""What some stores write for a character that XML cannot have."""


class Upload:
    """Of one file to one place, once, on behalf of `url`; a `condition` holds for its end."""

    def __init__(self, bucket: Bucket, path: str, url: str, condition: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._path = path
        self._url = url
        self._condition = condition
        self._id = ""
        self._in_doubt = False
        """Whether no answer came to a try to complete it."""

    async def begin(self) -> None:
        call = Call(
            url=self._url,
            deed="storing",
            method="POST",
            path=self._path,
            query={"uploads": ""},
            headers=self._bucket.terms.writing,
        )
        self._id = element("UploadId", await self._bucket.text(call))
        if not self._id:
            raise Unavailable(f"{redacted(self._url)}: the store began no upload")

    async def send(self, content: Content) -> str:
        """The ETag. Where it fails or is cancelled, the store forgets what has come."""
        beginning = asyncio.create_task(self.begin())
        try:
            await asyncio.shield(beginning)
            return await self._complete(await self._parts(content))
        except BaseException:
            await ended(asyncio.create_task(self._forget(beginning)))
            raise

    async def _parts(self, content: Content) -> list[str]:
        """Their ETags in order."""
        size = max(PART, -(-content.size // MOST // MEBIBYTE + 1) * MEBIBYTE)
        return await in_parts(content, size, self._part)

    async def _part(self, number: int, piece: Piece) -> str:
        if number > MOST:
            raise Invalid(f"{redacted(self._url)}: it has more than {MOST} parts")
        call = Call(
            url=self._url,
            deed=f"storing part {number}",
            method="PUT",
            path=self._path,
            query={"partNumber": str(number), "uploadId": self._id},
            headers=self._bucket.terms.reading,
            body=piece,
            brief=False,
        )
        headers = await tried(lambda: self._bucket.headers(call))
        return headers.get("ETag", "")

    async def _complete(self, tags: list[str]) -> str:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag, quote=False)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        call = Call(
            url=self._url,
            deed="storing",
            method="POST",
            path=self._path,
            query={"uploadId": self._id},
            headers=self._condition,
            body=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode(),
            brief=False,
        )
        try:
            text = await tried(lambda: self._completed(call))
        except (Exists, NotFound):
            # What is in the way, or has ended the upload, may be an earlier try.
            if self._in_doubt and (tag := await self._stored(tags)):
                return tag
            raise
        # A store may find out what is wrong after it has begun to answer.
        if "<Error>" in text:
            answer = answer_of(500, text)
            raise self._bucket.failure(call, answer)
        return element("ETag", text)

    async def _completed(self, call: Call) -> str:
        try:
            return await self._bucket.text(call)
        except Unavailable:
            self._in_doubt = True
            raise

    async def _stored(self, tags: list[str]) -> str:
        """The ETag of what is there, if it is what these parts make; else empty."""
        headers = self._bucket.terms.reading
        call = Call(url=self._url, deed="looking", method="HEAD", path=self._path, headers=headers)
        found = (await self._bucket.headers(call)).get("ETag", "")
        return found if found and found.strip('"') == whole_tag(tags) else ""

    async def _forget(self, beginning: "asyncio.Task[None]") -> None:
        """Who is cancelled waits for it, but not for long."""
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([beginning])
                if self._id:
                    await forget(self._bucket, self._path, self._id, self._url)
        except (FunnelError, TimeoutError) as error:
            log.warning(
                "parts of an upload stay until they are swept: %s", error or redacted(self._url)
            )
        finally:
            beginning.cancel()


def whole_tag(tags: Sequence[str]) -> str:
    """
    The ETag of what parts with these make, where they are the MD5 of each; else empty.

    >>> whole_tag(['"d41d8cd98f00b204e9800998ecf8427e"']), whole_tag(["e"])
    ('59adb24ef3cdbe0297f05b395827453f-1', '')
    """
    try:
        sums = b"".join(bytes.fromhex(one.strip('"')) for one in tags)
    except ValueError:
        return ""
    return f"{md5(sums, usedforsecurity=False).hexdigest()}-{len(tags)}"


async def forget(bucket: Bucket, path: str, upload: str, url: str) -> None:
    """Tries for a while: what stays costs money, and nobody sees it."""
    call = Call(url=url, deed="sweeping", method="DELETE", path=path, query={"uploadId": upload})
    for pause in (0.5, 2.0, 0.0):
        try:
            await bucket.text(call)
        except NotFound:
            return
        except Unavailable:
            if not pause:
                raise
            await asyncio.sleep(pause)
        else:
            return


async def sweep(bucket: Bucket, key: str, url: str, now: Clock, age: timedelta = STALE) -> int:
    """
    Have the store forget uploads that began this long ago and have not come to an end.

    Of this key; of all keys below, for one that is empty or ends in a slash. How many they were.
    """
    count, before = 0, now() - age
    async for found, upload, begun in unfinished(bucket, key, url):
        is_meant = found == key or key.endswith("/") or not key
        if is_meant and begun <= before:
            await forget(bucket, path_of(found), upload, url)
            count += 1
    return count


async def unfinished(
    bucket: Bucket, prefix: str, url: str
) -> AsyncIterator[tuple[str, str, datetime]]:
    query = {"uploads": "", "prefix": prefix}
    while True:
        page = await _page(bucket, query, url)
        for one in page.things:
            begun = datetime.fromisoformat(one.get("Initiated", "1970-01-01T00:00:00Z"))
            yield one.get("Key", ""), one.get("UploadId", ""), begun.astimezone(UTC)
        if page.said.get("IsTruncated") != "true":
            return
        query |= {
            "key-marker": page.said.get("NextKeyMarker", ""),
            "upload-id-marker": page.said.get("NextUploadIdMarker", ""),
        }


async def _page(bucket: Bucket, query: Mapping[str, str], url: str) -> Listing:
    """
    Of uploads, with quoted names only where they cannot be told otherwise.

    That a store quotes them here, as it says, is not sure: most programs ask for it of objects.
    """

    async def asked(more: Mapping[str, str]) -> Listing:
        call = Call(url=url, deed="sweeping", query={**query, **more})
        return page_of(await bucket.content(call), "Upload", url)

    with suppress(Unreadable):
        page = await asked({})
        if not any(REPLACED in one.get("Key", "") for one in page.things):
            return page
    return await asked(QUOTED_NAMES)
