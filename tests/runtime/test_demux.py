import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Stream
from funnel.core.error import Unavailable
from funnel.runtime.demux import FULL, Demux, Messages

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


TIME = b"2026-01-01T00:00:00.000000000Z "


def kept(text: bytes, *, loses_ends: bool) -> list[bytes]:
    """The messages that Docker makes of one stream."""
    messages: list[bytes] = []
    for line in text.splitlines(keepends=True):
        whole, long = line.removesuffix(b"\n"), len(line) > FULL
        parts = [whole[at : at + FULL] for at in range(0, len(whole), FULL)] or [b""]
        if long and len(parts[-1]) == FULL and line.endswith(b"\n"):
            parts.append(b"")
        end = b"\n" if line.endswith(b"\n") and not (long and loses_ends) else b""
        messages += [*parts[:-1], parts[-1] + end]
    return messages


lengths = st.sampled_from([0, 1, 5, FULL - 2, FULL - 1, FULL, FULL + 1, 2 * FULL, 2 * FULL + 7])
lines = st.lists(lengths, max_size=4).map(lambda sizes: b"".join(b"x" * n + b"\n" for n in sizes))


@pytest.mark.parametrize("loses_ends", [True, False])
@given(said=st.tuples(lines, lengths, lines), size=st.integers(1, 40_000), skip=st.integers(0, 99))
def test_the_ends_of_long_lines_are_put_back(
    *, said: tuple[bytes, int, bytes], size: int, skip: int, loses_ends: bool
) -> None:
    """Whether an engine loses them or not; `rest` is short where nobody could know its end."""
    text, rest, errors = said
    text += b"y" * (rest if rest < FULL or not loses_ends else 1)
    messages = {1: kept(text, loses_ends=loses_ends), 2: kept(errors, loses_ends=loses_ends)}
    sent = b"".join(frame(of, TIME + one) for of, some in messages.items() for one in some)
    demux, seen = Demux({Stream.STDOUT: skip}, Messages(lost=loses_ends)), dict[Stream, bytes]()
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    for chunk in [*(chunk for one in pieces for chunk in demux.feed(one)), *demux.end()]:
        seen[chunk.stream] = seen.get(chunk.stream, b"") + chunk.data
    assert seen.get(Stream.STDOUT, b"") == text[skip:]
    assert seen.get(Stream.STDERR, b"") == errors


@given(lines, st.integers(0, 1000), st.integers(0, 16))
def test_what_is_missing_is_found_in_the_end_of_the_log_or_not_at_all(
    text: bytes, seen_of_1000: int, first: int
) -> None:
    """All parts of a long line have one time, so that nobody can tell them from each other."""
    sent = [
        frame(1, b"%s%d " % (TIME.strip(), number) + part)
        for number, line in enumerate(text.splitlines(keepends=True))
        for part in kept(line, loses_ends=False)
    ]
    whole = b"".join(sent)
    cut = len(whole) * seen_of_1000 // 1000
    messages = Messages(lost=False)
    seen = b"".join(piece for _, piece in messages.feed(whole[:cut]))
    missing = messages.after(b"".join(sent[first:]))
    if missing is not None:
        assert seen + b"".join(piece for _, piece in messages.feed(missing)) == text


def test_the_end_of_a_log_tells_what_is_missing() -> None:
    sent = [
        frame(1, b"2026-01-01T00:00:00.%09dZ %d\n" % (number, number)) for number in range(5000)
    ]
    messages = Messages(lost=False)
    list(messages.feed(b"".join(sent[:4500]) + sent[4500][:10]))
    assert messages.after(b"".join(sent[4000:])) is None
    assert messages.after(b"".join(sent[3500:])) == b"".join(sent[4500:])
    assert Messages(lost=False).after(sent[0]) is None


def test_neighbours_of_one_stream_come_as_one_chunk() -> None:
    sent = frame(1, b"a\n") + frame(1, b"b\n") + frame(2, b"c\n") + frame(1, b"d\n")
    chunks = [chunk.data for chunk in Demux({}).feed(sent)]
    assert chunks == [b"a\nb\n", b"c\n", b"d\n"]


def test_the_engines_own_words_in_the_stream_are_a_failure_of_the_engine() -> None:
    with pytest.raises(Unavailable, match="disk is gone"):
        list(Demux({}).feed(frame(3, b"disk is gone\n")))
