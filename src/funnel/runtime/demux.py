"""The engine's way to put two streams into one."""

import struct
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

from funnel.core.container import Chunk, Stream
from funnel.core.error import Unavailable

_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}

FULL = 16 * 1024
"""Docker keeps a longer line in messages of this size, and a shorter last one."""
SEEN: Final = 2 * FULL
"""Bytes of a log by which a place in it is found again: they hold the time of some message."""


class Source(Protocol):
    """Numbers of streams, and what was written there."""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]: ...
    def end(self) -> Iterator[tuple[int, bytes]]: ...


class Pieces:
    """Pieces as they come, no larger than what is fed; keeps a header at most."""

    def __init__(self) -> None:
        self._header = b""
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        data = self._header + data
        at = 0
        while len(data) - at >= (0 if self._left else _HEADER.size):
            if not self._left:
                self._kind, self._left = _HEADER.unpack_from(data, at)
                at += _HEADER.size
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if piece:
                yield self._kind, piece
            if self._left:
                break
        self._header = data[at:]

    def end(self) -> Iterator[tuple[int, bytes]]:
        yield from ()


class Messages:
    """
    Whole messages of a log, which come with their times; keeps one at most, and what was before it.

    Docker 20.10 loses the end of a line that is longer than one message, and with it a message
    that has nothing else. So times are asked for: then none is left out, and what is neither
    full nor ended was the end of a line, unless it is the very last of its stream. Of that,
    nobody knows; `lost` says that it was.
    """

    def __init__(self, *, lost: bool) -> None:
        self._lost = lost
        self._kept = b""
        self._seen = bytearray()
        self._open = dict.fromkeys(_STREAMS, False)
        self._unended = dict.fromkeys(_STREAMS, False)
        self._is_mending = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        data = self._kept + data
        at, last = 0, len(data) - _HEADER.size
        # A line is a message, and there are millions: what most of them need is done here.
        while at <= last:
            kind, size = _HEADER.unpack_from(data, at)
            begin = at + _HEADER.size
            end = begin + size
            if end > len(data):
                break
            at = end
            text = data[(data.find(b" ", begin, end) + 1 or begin) : end]
            if size < FULL and kind in _STREAMS and not self._is_mending:
                yield kind, text
            else:
                yield kind, self._mended(kind, text) if kind in _STREAMS else data[begin:end]
        self._kept = data[at:]
        self._seen += data[max(0, at - SEEN) : at]
        if len(self._seen) > 2 * SEEN:
            del self._seen[:-SEEN]

    def after(self, log: bytes) -> bytes | None:
        """What comes in the log behind all that was fed; None where that cannot be told."""
        seen = self._seen[-SEEN:]
        at = log.find(seen) if seen else -1
        if at < 0 or log.find(seen, at + 1) >= 0:
            return None
        self._kept = b""
        return log[at + len(seen) :]

    def end(self) -> Iterator[tuple[int, bytes]]:
        """What is still missing when nothing more can come."""
        return ((kind, b"\n") for kind, unended in self._unended.items() if unended and self._lost)

    def _mended(self, kind: int, text: bytes) -> bytes:
        ended, full = text.endswith(b"\n"), len(text) >= FULL
        before = b"\n" if self._unended[kind] else b""
        # Only what follows a full message can have lost its end.
        self._unended[kind] = self._open[kind] and not ended and not full
        self._open[kind] = full and not ended
        self._is_mending = any((*self._open.values(), *self._unended.values()))
        return before + text


class Demux:
    """
    Takes the two apart.

    `skip` is how many bytes of each stream are passed over first.
    """

    def __init__(self, skip: Mapping[Stream, int], source: Source | None = None) -> None:
        self._skip = dict(skip)
        self._source = source or Pieces()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Neighbours of one stream come as one chunk: lines are short, and many."""
        return self._chunks(self._source.feed(data))

    def end(self) -> Iterator[Chunk]:
        return self._chunks(self._source.end())

    def _chunks(self, pieces: Iterator[tuple[int, bytes]]) -> Iterator[Chunk]:
        for kind, some in groupby(pieces, key=itemgetter(0)):
            if kept := self._kept(kind, b"".join(piece for _, piece in some)):
                yield Chunk(_STREAMS[kind], kept)

    def _kept(self, kind: int, piece: bytes) -> bytes:
        if kind not in _STREAMS:
            words = piece.decode(errors="replace").strip()
            raise Unavailable(f"the engine broke off the output: {words}")
        stream = _STREAMS[kind]
        passed = min(self._skip.get(stream, 0), len(piece))
        if passed:
            self._skip[stream] -= passed
        return piece[passed:]
