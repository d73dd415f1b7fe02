"""Files in the memory of this process, at `mem://`; for tests."""

import asyncio
from collections.abc import Sequence
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from funnel.core.error import Invalid, NotFound
from funnel.ports import Object
from funnel.safepath import copy, opened, whole_file

SCHEME: Final = "mem://"


class MemoryStorage:
    """Answers `ports.Storage` as object stores do: names have slashes, there are no directories."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def takes(self, url: str) -> bool:
        return url.startswith(SCHEME)

    def in_place(self, url: str) -> Path | None:
        _name(url)
        return None

    def shared(self, url: str) -> bool:
        _name(url)
        return False

    def roots(self) -> tuple[str, ...]:
        return ()

    async def stat(self, url: str) -> Object:
        return _object(url, "", self._read(url))

    async def list_objects(self, url: str) -> Sequence[Object]:
        """Nothing for a directory that is not there: nobody can tell it from an empty one."""
        above = f"{_name(url).rstrip('/')}/"
        names = sorted(name for name in self._files if name.startswith(above))
        return [
            _object(f"{SCHEME}{name}", name.removeprefix(above), self._files[name])
            for name in names
        ]

    async def get(self, url: str, to: Path) -> Object:
        content = self._read(url)
        await asyncio.to_thread(_write, content, to)
        return _object(url, "", content)

    async def put(self, source: IO[bytes], url: str) -> Object:
        name = _name(url)
        content = await asyncio.to_thread(source.read)
        self._files[name] = content
        return _object(url, "", content)

    def _read(self, url: str) -> bytes:
        name = _name(url)
        if name not in self._files:
            raise NotFound(f"there is no {url}")
        return self._files[name]


def _name(url: str) -> str:
    name = url.removeprefix(SCHEME)
    if not name.strip("/"):
        raise Invalid(f"{url} names no file; write mem://name")
    return name


def _object(url: str, name: str, content: bytes) -> Object:
    tag = md5(content, usedforsecurity=False).hexdigest()
    return Object(url, len(content), name, etag=tag)


def _write(content: bytes, to: Path) -> None:
    with (
        opened(to.parent.resolve()) as directory,
        whole_file(directory, to.name, durable=False) as made,
    ):
        copy(BytesIO(content), made)
