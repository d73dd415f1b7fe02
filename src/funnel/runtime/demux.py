"""The engine's way to put two streams into one."""

import struct
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from funnel.core.container import Chunk, Stream
from funnel.core.error import Unavailable

_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}


class Demux:
    """
    Takes the two apart, in pieces no larger than what is fed; keeps a header at most.

    `skip` is how many bytes of each stream are passed over first.
    """

    def __init__(self, skip: Mapping[Stream, int]) -> None:
        self._skip = dict(skip)
        self._header = b""
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Neighbours of one stream come as one chunk: lines are short, and many."""
        for kind, pieces in groupby(self._pieces(data), key=itemgetter(0)):
            if kept := self._kept(kind, b"".join(piece for _, piece in pieces)):
                yield Chunk(_STREAMS[kind], kept)

    def _pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
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

    def _kept(self, kind: int, piece: bytes) -> bytes:
        if kind not in _STREAMS:
            words = piece.decode(errors="replace").strip()
            raise Unavailable(f"the engine broke off the output: {words}")
        stream = _STREAMS[kind]
        passed = min(self._skip.get(stream, 0), len(piece))
        if passed:
            self._skip[stream] -= passed
        return piece[passed:]
