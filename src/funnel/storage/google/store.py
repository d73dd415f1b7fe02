"""Objects at `gs://`: moves bytes; what all remote stores have in common is done around it."""

import base64
import binascii
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Invalid, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.net.client import Answer
from funnel.ports import Content, Object, Reading
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.google.door import Door
from funnel.storage.google.plugin import SCHEME
from funnel.storage.google.upload import Upload, hashed
from funnel.storage.web import date_of, ranged, reading, size_of

T = TypeVar("T")

BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
FIELDS: Final = "name,size,etag,updated,md5Hash,generation"
LONGEST: Final = 1024
"""Bytes of a name, as Google has it."""
KIND: Final = "application/octet-stream"
NEW: Final[Mapping[str, str]] = {"ifGenerationMatch": "0"}
"""Store it only where nothing has its name."""


class Item(Value, rename="camel"):
    """An object, as Google describes it."""

    name: str = ""
    size: str = "0"
    etag: str = ""
    updated: datetime | None = None
    md5_hash: str = ""
    generation: str = ""

    def as_object(self, url: str, name: str = "") -> Object:
        return Object(
            url,
            int(self.size),
            name,
            etag=self.etag,
            last_modified=self.updated,
            checksums=_md5(self.md5_hash),
            version=self.generation,
        )


class Page(Value, rename="camel"):
    """Of a listing."""

    items: tuple[Item, ...] = ()
    next_page_token: str = ""


class Place(NamedTuple):
    """What a URL means."""

    bucket: str
    name: str

    @property
    def objects(self) -> str:
        return f"/b/{self.bucket}/o"

    @property
    def object(self) -> str:
        return f"/storage/v1{self.objects}/{quote(self.name, safe='')}"


class GoogleStore:
    """Answers `ports.Store`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def takes(self, url: str) -> bool:
        return url.startswith(SCHEME)

    async def stat(self, url: str) -> Object:
        call = Call(
            url=url,
            deed="looking",
            path=_existing(url).object,
            query={"fields": FIELDS},
        )
        return _decoded(await self._door.content(call), Item, url).as_object(url)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        place = _place(url)
        query = {"prefix": place.name, "fields": f"items({FIELDS}),nextPageToken"}
        while True:
            call = Call(
                url=url,
                deed="listing",
                path=f"/storage/v1{place.objects}",
                query=query,
            )
            page = _decoded(await self._door.content(call), Page, url)
            for one in page.items:
                yield one.as_object(url, one.name.removeprefix(place.name))
            if not page.next_page_token:
                return
            query["pageToken"] = page.next_page_token

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        """What was stored compressed comes as it was stored, as its size and MD5 are."""
        del etag
        call = Call(
            url=url,
            deed="reading",
            path=_existing(url).object,
            query={"alt": "media"},
            headers={"Accept-Encoding": "gzip", **ranged(start, end)},
            brief=False,
        )
        async with self._door.ask(call) as answer:
            yield reading(answer, _described(url, answer))

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        place = _named(url)
        path = f"/upload/storage/v1{place.objects}"
        condition = {} if overwrite else NEW
        content.hash_with_md5()
        if not 0 <= content.size <= 2 * PART:
            found = await Upload(self._door, url, condition).send(content, path, place.name)
        else:
            body = await content.whole()
            call = Call(
                url=url,
                deed="storing",
                path=path,
                method="POST",
                query={"uploadType": "media", "name": place.name, "fields": FIELDS, **condition},
                headers={"Content-Type": KIND, **hashed(content)},
                body=body,
                brief=False,
            )
            found = await self._door.content(call)
        return _decoded(found, Item, url).as_object(url)

    async def remove(self, stored: Object) -> None:
        call = Call(
            url=stored.url,
            deed="removing what is wrong",
            path=_named(stored.url).object,
            method="DELETE",
            query={"ifGenerationMatch": stored.version},
            also=frozenset({404, 412}),
        )
        await self._door.content(call)


def _decoded(text: bytes, kind: type[T], url: str) -> T:
    try:
        return json.decode(text, type=kind)
    except (DecodeError, ValidationError) as error:
        raise Unavailable(f"{redacted(url)}: what came is no answer of Google Storage") from error


def _place(url: str) -> Place:
    bucket, _, name = url.removeprefix(SCHEME).partition("/")
    if not BUCKET.fullmatch(bucket):
        raise Invalid(f"{redacted(url)} names no bucket; write gs://bucket/object")
    return Place(bucket, name)


def _named(url: str) -> Place:
    place = _place(url)
    if not place.name:
        raise Invalid(f"{redacted(url)} names no object; write gs://bucket/object")
    if place.name in {".", ".."} or re.search(r"[\r\n]", place.name):
        raise Invalid(f"{redacted(url)} has a name that Google Storage does not take")
    if len(place.name.encode(errors="replace")) > LONGEST:
        raise Invalid(f"{redacted(url)} has a name of more than {LONGEST} bytes")
    return place


def _existing(url: str) -> Place:
    """No file has the name of a directory."""
    if not _place(url).name or url.endswith("/"):
        raise NotFound(f"{redacted(url)} is no file")
    return _named(url)


def _described(url: str, answer: Answer) -> Object:
    headers = answer.headers
    given = headers.get("X-Goog-Hash", "").split(",")
    sums = {name: text for name, _, text in (one.strip().partition("=") for one in given)}
    return Object(
        url,
        size_of(answer),
        etag=headers.get("ETag", "").strip('"'),
        last_modified=date_of(headers.get("Last-Modified", "")),
        checksums=_md5(sums.get("md5", "")),
    )


def _md5(text: str) -> Mapping[str, str]:
    """
    As `hashlib` has it; what was put together of several objects has none.

    >>> _md5("XUFAKrxLKna5cZ2REBfFkg=="), _md5("")
    ({'md5': '5d41402abc4b2a76b9719d911017c592'}, {})
    """
    try:
        return {"md5": base64.b64decode(text, validate=True).hex()} if text else {}
    except binascii.Error:
        return {}
