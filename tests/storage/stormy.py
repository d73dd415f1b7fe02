"""A store that does what a script says, one step for each time that it is asked."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import IO

from funnel.core.error import Exists, NotFound, Unavailable
from funnel.ports import Content, Object, Reading, Share
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage

URL = "script://a/b"
BODY = bytes(range(256)) * 40
PIECE = 1000
QUICK = Patience(tries=3, first=0.001, longest=0.002, stall=0.3, worth=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    How one answer goes; as it stands it is a good one.

    After `cut` bytes it ends: with `error`, for ever silent where it `stalls`, or as if it were
    whole. `error` without `cut` is the answer.
    """

    error: Exception | None = None
    cut: int | None = None
    stalls: bool = False
    trickle: float = 0.0
    """Seconds between pieces."""
    whole: bool = False
    """From the start, whatever was asked for."""
    early: int = 0
    """It begins so many bytes behind what was asked for."""
    sized: bool = True
    spoiled: bool = False
    """The first byte is another one."""
    lost: bool = False
    """What is sent is stored, and the answer does not come."""
    changes: bytes | None = None
    """What the object becomes before it is read."""


GOOD = Step()
AWAY = Step(error=Unavailable("away"))


@dataclass
class ScriptedStore:
    """Answers `ports.Store` with files by their URLs; what is asked is written down."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    steps: list[Step] = field(default_factory=list[Step])
    summed: bool = True
    tagged: bool = True
    ranged: bool = True
    piece: int = PIECE
    abreast: int = 0
    """What the last upload was allowed."""
    asked: list[tuple[int, int | None]] = field(default_factory=list[tuple[int, int | None]])
    open: int = 0
    sent: int = 0

    def takes(self, url: str) -> bool:
        return url.startswith("script://")

    async def stat(self, url: str) -> Object:
        await self._answer(self._step())
        return self._object(url, self._content(url))

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        step = self._step()
        await self._answer(step)
        self.open += 1
        try:
            for number, (name, content) in enumerate(tuple(self.files.items())):
                if step.cut is not None and number >= step.cut:
                    await self._end(step)
                    return
                if name.startswith(url):
                    yield Object(url, len(content), name.removeprefix(url))
        finally:
            self.open -= 1

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        self.asked.append((start, end))
        step = self._step()
        await self._answer(step)
        if step.changes is not None:
            self.files[url] = step.changes
        content = self._content(url)
        begin = 0 if step.whole or not self.ranged else start + step.early
        part = content[begin : None if begin != start else end]
        found = self._object(url, content if step.sized else None)
        self.open += 1
        try:
            yield Reading(
                found=found, start=begin, pieces=self._pieces(part, step), ranged=self.ranged
            )
        finally:
            self.open -= 1

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        step, found = self._step(), bytearray()
        await self._answer(step)
        self.abreast = content.abreast
        if self.summed:
            content.hash_with_md5()
        self.open += 1
        try:
            async for piece in content.pieces(self.piece):
                found += piece
                if step.cut is not None and len(found) >= step.cut:
                    await self._end(step)
                    break
                await asyncio.sleep(step.trickle)
        finally:
            self.open -= 1
        if not overwrite and url in self.files:
            raise Exists
        self.files[url] = _spoiled(bytes(found)) if step.spoiled else bytes(found)
        if step.lost:
            raise Unavailable("lost")
        return self._object(url, self.files[url])

    def _step(self) -> Step:
        return self.steps.pop(0) if self.steps else GOOD

    async def _answer(self, step: Step) -> None:
        await asyncio.sleep(0)
        if step.cut is None:
            await self._end(step)

    async def _end(self, step: Step) -> None:
        if step.stalls:
            await asyncio.Event().wait()
        if step.error:
            raise step.error

    async def _pieces(self, content: bytes, step: Step) -> AsyncIterator[bytes]:
        sent = _spoiled(content) if step.spoiled else content
        for at in range(0, len(sent[: step.cut]), self.piece):
            await asyncio.sleep(step.trickle)
            piece = sent[: step.cut][at : at + self.piece]
            self.sent += len(piece)
            yield piece
        if step.cut is not None:
            await self._end(step)

    def _content(self, url: str) -> bytes:
        if url not in self.files:
            raise NotFound(f"there is no {url}")
        return self.files[url]

    def _object(self, url: str, content: bytes | None) -> Object:
        whole = self.files[url]
        sums = {"md5": tag(whole)} if self.summed else {}
        size = -1 if content is None else len(content)
        return Object(url, size, etag=tag(whole) if self.tagged else "", checksums=sums)


class RemovingStore(ScriptedStore):
    """Answers `ports.Remover`."""

    async def remove(self, stored: Object) -> None:
        await asyncio.sleep(0)
        self.files.pop(stored.url, None)


def tag(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


def _spoiled(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:] if content else content


def bytes_of(ranges: Sequence[tuple[int, int | None]], size: int) -> int:
    """How many bytes were asked for."""
    return sum((size if end is None else end) - start for start, end in ranges)


def descriptors_below(folder: Path) -> list[str]:
    """Open files of this process there, of those without a name too."""
    found = list[str]()
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(one.readlink()))
    return [one for one in found if one.startswith(f"{folder}/") or one == str(folder)]


def content_of(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


@dataclass
class Scene:
    """A store of moods with one object, and a folder where it shall come to."""

    folder: Path
    patience: Patience = QUICK
    store: ScriptedStore = field(default_factory=lambda: ScriptedStore({URL: BODY}))

    @property
    def storage(self) -> RemoteStorage:
        return RemoteStorage(self.store, self.patience)

    async def get(self, *steps: Step, share: Share | None = None) -> bytes:
        self.store.steps = list(steps)
        got = await self.storage.get(URL, self.folder / "file", share)
        content = (self.folder / "file").read_bytes()
        (self.folder / "file").unlink()
        assert got.size_bytes == len(content)
        return content

    async def put(
        self,
        *steps: Step,
        source: IO[bytes] | None = None,
        share: Share | None = None,
        overwrite: bool = True,
    ) -> bytes:
        self.store.steps = list(steps)
        content = source or BytesIO(BODY)
        stored = await self.storage.put(content, URL, share, overwrite=overwrite)
        assert stored.size_bytes == len(self.store.files[URL])
        return self.store.files[URL]

    def check_nothing_is_left(self) -> None:
        """No file, no descriptor of one without a name, no answer of the store."""
        assert list(self.folder.iterdir()) == []
        assert descriptors_below(self.folder) == []
        assert self.store.open == 0
