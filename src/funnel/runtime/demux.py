"""The engine's way to put two streams into one."""

import struct
from collections.abc import Iterator, Mapping

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
        at = 0
        while at < len(data):
            if not self._left:
                wanted = _HEADER.size - len(self._header)
                self._header += data[at : at + wanted]
                at += wanted
                if len(self._header) == _HEADER.size:
                    self._kind, self._left = _HEADER.unpack(self._header)
                    self._header = b""
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if kept := self._kept(piece):
                yield Chunk(_STREAMS[self._kind], kept)

    def _kept(self, piece: bytes) -> bytes:
        if self._kind not in _STREAMS:
            words = piece.decode(errors="replace").strip()
            raise Unavailable(f"the engine broke off the output: {words}")
        stream = _STREAMS[self._kind]
        passed = min(self._skip.get(stream, 0), len(piece))
        if passed:
            self._skip[stream] -= passed
        return piece[passed:]
