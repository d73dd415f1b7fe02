import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Stream
from funnel.core.error import Unavailable
from funnel.runtime.demux import Demux

NUMBERS = {Stream.STDOUT: 1, Stream.STDERR: 2}
frames = st.lists(st.tuples(st.sampled_from(list(Stream)), st.binary(max_size=40)), max_size=12)


def frame(number: int, content: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(content)) + content


def taken_apart(demux: Demux, pieces: list[bytes]) -> dict[Stream, bytes]:
    seen = {Stream.STDOUT: b"", Stream.STDERR: b""}
    for piece in pieces:
        for chunk in demux.feed(piece):
            assert 0 < len(chunk.data) <= len(piece)
            seen[chunk.stream] += chunk.data
    return seen


@given(frames, st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_however_it_arrives_each_stream_comes_out_whole_but_for_what_is_skipped(
    said: list[tuple[Stream, bytes]], size: int, out: int, err: int
) -> None:
    sent = b"".join(frame(NUMBERS[stream], content) for stream, content in said)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    whole = {one: b"".join(content for stream, content in said if stream is one) for one in Stream}
    demux = Demux({Stream.STDOUT: out, Stream.STDERR: err})
    assert taken_apart(demux, pieces) == {
        Stream.STDOUT: whole[Stream.STDOUT][out:],
        Stream.STDERR: whole[Stream.STDERR][err:],
    }


def test_neighbours_of_one_stream_come_as_one_chunk() -> None:
    sent = frame(1, b"a\n") + frame(1, b"b\n") + frame(2, b"c\n") + frame(1, b"d\n")
    chunks = [chunk.data for chunk in Demux({}).feed(sent)]
    assert chunks == [b"a\nb\n", b"c\n", b"d\n"]


def test_the_engines_own_words_in_the_stream_are_a_failure_of_the_engine() -> None:
    with pytest.raises(Unavailable, match="disk is gone"):
        list(Demux({}).feed(frame(3, b"disk is gone\n")))
