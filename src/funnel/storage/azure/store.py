"""Blobs at `az://` and `https://`: moves bytes; the rest is done around it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from funnel.core.error import NotFound
from funnel.core.url import redacted
from funnel.net.client import Answer
from funnel.ports import Content, Object, Reading
from funnel.storage.azure.address import Address, existing, named
from funnel.storage.azure.door import Door
from funnel.storage.azure.listing import DIRECTORY, page_of
from funnel.storage.azure.sums import md5_of
from funnel.storage.azure.upload import MD5, Upload
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.web import checksums_of, date_of, ranged, reading, size_of

BLOCK_BLOB: Final = {"x-ms-blob-type": "BlockBlob"}
NEW: Final[Mapping[str, str]] = {"If-None-Match": "*"}
"""Store it only where nothing has its name."""


class BlobStore:
    """Answers `ports.Store`, but for `takes`."""

    def __init__(self, address: Callable[[str], Address], door: Callable[[Address], Door]) -> None:
        self._address = address
        self._door = door

    async def stat(self, url: str) -> Object:
        place = self._existing(url)
        call = Call(url=url, deed="looking", path=place.path, method="HEAD")
        async with self._door(place).ask(call) as answer:
            return _described(url, answer)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        place = self._address(url)
        if place.signature:
            raise NotFound(
                f"{redacted(url)} is no blob; one that is signed names no directory: give its"
                " SASToken in AzureStorage.Accounts"
            )
        query = {"restype": "container", "comp": "list", "prefix": place.name}
        while True:
            call = Call(url=url, deed="listing", path=f"/{place.container}", query=query)
            page = page_of(await self._door(place).content(call), url, place.name)
            for one in page.blobs:
                yield one
            if not page.marker:
                return
            query["marker"] = page.marker

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        place = self._existing(url)
        call = Call(
            url=url,
            deed="reading",
            path=place.path,
            headers=ranged(start, end),
            brief=False,
        )
        async with self._door(place).ask(call) as answer:
            yield reading(answer, _described(url, answer))

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        place = self._address(url)
        named(url, place)
        condition: Mapping[str, str] = {} if overwrite else NEW
        door = self._door(place)
        if 0 <= content.size <= 2 * PART:
            body = await content.whole()
            call = Call(
                url=url,
                deed="storing",
                path=place.path,
                method="PUT",
                headers={**BLOCK_BLOB, **condition, "Content-MD5": await md5_of(body)},
                body=body,
                brief=False,
            )
            headers, size = await door.headers(call), len(body)
        else:
            headers, size = await Upload(door, place.path, url, condition).send(content)
        return Object(url, size, etag=_tag(headers.get("ETag", "")))

    def _existing(self, url: str) -> Address:
        place = self._address(url)
        existing(url, place)
        return place


def _described(url: str, answer: Answer) -> Object:
    """Raises `NotFound` for a directory, which accounts with a hierarchy have."""
    headers = answer.headers
    folder = headers.get("x-ms-resource-type") == DIRECTORY
    if folder or headers.get("x-ms-meta-hdi_isfolder", "").lower() == "true":
        raise NotFound(f"{redacted(url)} is a directory")
    part = answer.status == 206
    return Object(
        url,
        size_of(answer),
        etag=_tag(headers.get("ETag", "")),
        last_modified=date_of(headers.get("Last-Modified", "")),
        checksums=_md5(headers.get(MD5, "")) if part else checksums_of(headers),
    )


def _md5(text: str) -> Mapping[str, str]:
    return checksums_of({"Content-MD5": text})


def _tag(text: str) -> str:
    """As lists have them, without quotes."""
    return text.strip('"')
