"""Files in the memory of this process, at `mem://`; for tests."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from hashlib import md5
from typing import Final

from funnel.core.error import Exists, Invalid, NotFound
from funnel.ports import Content, Object, Reading
from funnel.storage.remote import RemoteStorage

SCHEME: Final = "mem://"
PIECE: Final = 1 << 20


class MemoryStore:
    """Answers `ports.Store` as object stores do: names have slashes, there are no directories."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def takes(self, url: str) -> bool:
        return url.startswith(SCHEME)

    async def stat(self, url: str) -> Object:
        return _object(url, "", self._content(url))

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        above = _name(url)
        for name, content in tuple(self._files.items()):
            if name.startswith(above):
                yield _object(url, name.removeprefix(above), content)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        content = self._content(url)
        yield Reading(
            found=_object(url, "", content), start=start, pieces=_pieces(content[start:end])
        )

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        name, found = _name(url), bytearray()
        async for piece in content.pieces(PIECE):
            found += piece
        if not overwrite and name in self._files:
            raise Exists(f"there is {url} already")
        self._files[name] = bytes(found)
        return _object(url, "", self._files[name])

    def _content(self, url: str) -> bytes:
        name = _name(url)
        if name not in self._files:
            raise NotFound(f"there is no {url}")
        return self._files[name]


class MemoryStorage(RemoteStorage):
    def __init__(self) -> None:
        super().__init__(MemoryStore())


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PIECE):
        yield content[at : at + PIECE]


def _name(url: str) -> str:
    name = url.removeprefix(SCHEME)
    if not name.strip("/"):
        raise Invalid(f"{url} names no file; write mem://name")
    return name


def _object(url: str, name: str, content: bytes) -> Object:
    tag = md5(content, usedforsecurity=False).hexdigest()
    return Object(url, len(content), name, etag=tag, checksums={"md5": tag})
