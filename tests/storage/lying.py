"""A store that lies: sizes, sums, versions, where bytes begin, and names that climb."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import md5
from itertools import count

from hypothesis import strategies as st

from funnel.core.error import NotFound
from funnel.ports import Content, Object, Reading

FOLDER = "lies://a/d/"
FILE = "lies://a/file"
EXTRA = b"and more than that"
TIMES = 6
"""Answers about a file in which there are lies; then the store has had enough."""


@dataclass(frozen=True, slots=True)
class Lie:
    """What is wrong with one answer; as it stands, nothing is."""

    size: int = 0
    """Added to the size that is told."""
    unsized: bool = False
    late: int = 0
    """Bytes behind those that were asked for."""
    short: int = 0
    """Bytes left out at the end."""
    extra: int = 0
    """Bytes that do not belong to it, or -1 for no end of them."""
    spoiled: bool = False
    other_tag: bool = False
    sums: str = "right"
    """Which checksums are told: "right", "none", "wrong", "nonsense"."""
    ranged: bool = True


lies = st.builds(
    Lie,
    size=st.sampled_from([0, 0, 0, -1, 1, -1000, 1 << 40]),
    unsized=st.booleans(),
    late=st.sampled_from([0, 0, 0, 1, -1]),
    short=st.sampled_from([0, 0, 1, 50]),
    extra=st.sampled_from([0, 0, 1, -1]),
    spoiled=st.booleans(),
    other_tag=st.booleans(),
    sums=st.sampled_from(["right", "none", "wrong", "nonsense"]),
    ranged=st.booleans(),
)
parts = st.sampled_from(
    [
        *("a", "b", "..", ".", "", "host", "secret", "out", "é", "-rf", "*", "n" * 300, "a\nb"),
        *(".funnel-0123456789abcdef.part", "\0", "x\0y", "\ud800", "\udc80", "\\..\\x", "%2e%2e"),
    ]
)
names = st.one_of(
    st.lists(parts, min_size=1, max_size=5).map("/".join),
    st.sampled_from(
        ["/etc/passwd", "../../../host/secret", "a/" * 3_000 + "a", "a/" * 300 + "a", "", "/"]
    ),
    st.text(max_size=5),
)


@dataclass
class LyingStore:
    """Answers `ports.Store`: a directory of names that all have the `body`, and a file with it."""

    body: bytes
    names: Sequence[str]
    lies: list[Lie] = field(default_factory=list[Lie])
    endless: bool = False
    """Whether its lists have no end."""
    open: int = 0

    def takes(self, url: str) -> bool:
        return url.startswith("lies://")

    async def stat(self, url: str) -> Object:
        return self._object(url, Lie())

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        for number in count() if self.endless and self.names else range(1):
            for name in self.names if url == FOLDER else ():
                await asyncio.sleep(0)
                yield Object(f"lies://elsewhere/{name}", len(self.body) + number, name)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        if url == FOLDER[:-1]:
            raise NotFound("this is a directory")
        lie = self.lies.pop(0) if self.lies else Lie()
        self.open += 1
        try:
            yield Reading(
                found=self._object(url, lie),
                start=start + lie.late,
                pieces=self._pieces(lie, start, end),
                ranged=lie.ranged,
            )
        finally:
            self.open -= 1

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        """What lies here is read alone."""
        raise NotImplementedError

    def _object(self, url: str, lie: Lie) -> Object:
        digest = md5(self.body, usedforsecurity=False).hexdigest()
        sums = {"none": {}, "wrong": {"md5": "0" * 32}, "nonsense": {"md5": "ä", "sha256": ""}}
        size = -1 if lie.unsized else max(0, len(self.body) + lie.size)
        tag = "other" if lie.other_tag else digest
        return Object(url, size, etag=tag, checksums=sums.get(lie.sums, {"md5": digest}))

    async def _pieces(self, lie: Lie, start: int, end: int | None) -> AsyncIterator[bytes]:
        part = self.body[start:end]
        part = part[: len(part) - lie.short]
        if lie.spoiled and part:
            part = bytes([part[0] ^ 1]) + part[1:]
        for at in range(0, len(part), 100):
            await asyncio.sleep(0)
            yield part[at : at + 100]
        for _ in range(lie.extra) if lie.extra >= 0 else count():
            await asyncio.sleep(0)
            yield EXTRA


def _is_finite(lie: Lie) -> bool:
    """What has no end, and says no size that is one, fills any disk."""
    return lie.extra >= 0 or not (lie.unsized or lie.size > 1)


stores = st.builds(
    LyingStore,
    body=st.sampled_from([b"", b"x", bytes(range(250)) * 4]),
    names=st.lists(names, max_size=4),
    lies=st.lists(lies.filter(_is_finite), max_size=TIMES),
    endless=st.booleans(),
)
