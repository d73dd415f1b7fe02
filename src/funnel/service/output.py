"""What a container prints: into a file of ours, and its end into the journal."""

import asyncio
import codecs
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from funnel.core.container import Chunk, Stream
from funnel.core.event import Printed
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.ports import Clock

HELD: Final = 1 << 18
"""Bytes that are written to the file together."""
ROOM: Final = 1 << 22
"""Bytes that a file takes, or somewhat more, where nobody wants all of it."""
REST: Final = 1 << 20
"""Bytes of its end that are left then."""
UNFINISHED: Final = 3
"""A character of UTF-8 may lack this many bytes of its end, or of its beginning."""
BREATH: Final = 0.05
"""Seconds; what comes within one breath is told together, with the end if that comes too."""


class Pace(Value, kw_only=True):
    """`keep` bytes of each stream are kept; `every` is seconds, 0 is once, at the end."""

    keep: int
    every: float


@dataclass(frozen=True, slots=True)
class Source:
    """The executor that prints."""

    task_id: TaskId
    index: int
    now: Clock

    def printed(self, stream: Stream, *, start: int, end: int, text: str, keep: int) -> Printed:
        return Printed(self.task_id, self.now(), self.index, stream, start, end, text, keep)


class Capture:
    """
    One stream of one executor; its file is there once something was printed.

    Where the last piece of news began is kept beside the file. Whoever goes on after a crash
    says that piece again from there, which does no harm where it was kept.

    Where nobody wants the `whole` of it, the file is given a hole instead of its beginning: its
    size still says how much there was, and the disk does not fill.
    """

    def __init__(
        self, folder: Path, name: str, pace: Pace, about: Callable[..., Printed], *, whole: bool
    ) -> None:
        self._folder = folder
        self._name = name
        self._whole = whole
        self._hole = 0
        self._turn = asyncio.Lock()
        self._pace = pace
        self._about = about
        self._file: IO[bytes] | None = None
        self.size = 0
        self.told = 0
        self._held = bytearray()
        self._recent = bytearray()

    @property
    def path(self) -> Path:
        return self._folder / self._name

    @property
    def _mark(self) -> Path:
        return self._folder / f"{self._name}.told"

    def take_up(self) -> None:
        """Go on behind what the file already has; blocks."""
        file = self._opened()
        self.size = file.seek(0, 2)
        self.told = min(self.size, _number(self._mark))
        file.seek(max(0, self.size - self._pace.keep - UNFINISHED))
        self._recent += file.read()

    async def write(self, piece: bytes) -> None:
        self.size += len(piece)
        self._held += piece
        keep = self._pace.keep + UNFINISHED
        self._recent += piece[-keep:]
        del self._recent[:-keep]
        if len(self._held) >= HELD:
            await self.flush()

    async def flush(self) -> None:
        async with self._turn:
            held, self._held = bytes(self._held), bytearray()
            if held:
                await asyncio.to_thread(self._write, held)

    async def mark(self, news: Printed) -> None:
        """Keep where the news begins, and all that it says, before anybody hears it."""
        await self.flush()
        await asyncio.to_thread(self._mark.write_text, str(news.start))

    def news(self, *, final: bool) -> Printed | None:
        """What has not been told yet, no more of it than is kept; None where there is nothing."""
        start = max(self.told, self.size - self._pace.keep)
        if not self._pace.keep or start >= self.size:
            return None
        untold = bytes(self._recent[start - self.size :])
        torn = _torn(untold) if start > self.told else 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(untold[torn:], final=final)
        start += torn
        end = self.size - len(decoder.getstate()[0])
        if end <= start:
            return None
        return self._about(start=start, end=end, text=text, keep=self._pace.keep)

    async def close(self) -> None:
        try:
            await self.flush()
        finally:
            if self._file:
                self._file.close()

    def _opened(self) -> IO[bytes]:
        self._file = self._file or self.path.open("a+b")
        return self._file

    def _write(self, held: bytes) -> None:
        file = self._opened()
        file.write(held)
        file.flush()
        if not self._whole and file.tell() - self._hole > ROOM:
            self._dig(file)

    def _dig(self, file: IO[bytes]) -> None:
        """Killed in between, this leaves a shorter file: then more is asked for again."""
        end = file.tell()
        self._hole = file.seek(end - max(REST, self._pace.keep + UNFINISHED))
        rest = file.read()
        file.truncate(0)
        file.truncate(self._hole)
        file.write(rest)
        file.flush()


class Capturing:
    """
    Both streams of one executor; `tell` hears their ends at the pace that was asked for.

    Of those that are `wanted`, the file has all.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        pace: Pace,
        wanted: frozenset[Stream],
    ) -> None:
        self._pace = pace
        self._streams = {
            stream: Capture(
                folder,
                f"{stream}-{source.index}",
                pace,
                partial(source.printed, stream),
                whole=stream in wanted,
            )
            for stream in Stream
        }
        self._dirty = asyncio.Event()

    @property
    def sizes(self) -> Mapping[Stream, int]:
        return {stream: one.size for stream, one in self._streams.items()}

    def take_up(self) -> None:
        """Go on behind what a worker before us has kept; blocks."""
        for one in self._streams.values():
            one.take_up()

    def path(self, stream: Stream) -> Path | None:
        """Its file; None where nothing was printed."""
        one = self._streams[stream]
        return one.path if one.size else None

    async def take(self, chunks: AsyncIterator[Chunk]) -> None:
        """Keep all that comes, until it ends."""
        async for chunk in chunks:
            await self._streams[chunk.stream].write(chunk.data)
            self._dirty.set()
        for one in self._streams.values():
            await one.flush()

    async def tell_forever(self, tell: Callable[..., Awaitable[object]]) -> None:
        """The first bytes at once, and then as often as the pace allows."""
        while self._pace.every > 0:
            await self._dirty.wait()
            await asyncio.sleep(min(self._pace.every, BREATH))
            self._dirty.clear()
            news = await self.marked()
            # No pause from here to the journal, which loses nothing when this is stopped.
            self.told(news)
            await tell(*news)
            await asyncio.sleep(self._pace.every)

    async def marked(self) -> tuple[Printed, ...]:
        """What has not been told yet, ready to be told and to be told again after a crash."""
        news = self.news(final=False)
        for one in news:
            await self._streams[one.stream].mark(one)
        return news

    def told(self, news: tuple[Printed, ...]) -> None:
        for one in news:
            self._streams[one.stream].told = one.end

    def news(self, *, final: bool) -> tuple[Printed, ...]:
        """What has not been told yet."""
        said = (one.news(final=final) for one in self._streams.values())
        return tuple(one for one in said if one)

    async def close(self) -> None:
        for one in self._streams.values():
            await one.close()


def _torn(piece: bytes) -> int:
    """How many bytes at the beginning belong to a character that began before it."""
    first = piece[:UNFINISHED]
    return next((n for n, byte in enumerate(first) if byte & 0xC0 != 0x80), len(first))


def _number(path: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return 0
