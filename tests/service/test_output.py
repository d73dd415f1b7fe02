"""What a container prints, kept whole in a file and at its end in the journal."""

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Chunk, Stream
from funnel.core.event import Printed
from funnel.core.task import TaskId
from funnel.core.view import tail
from funnel.service.output import ROOM, Capturing, Pace, Source
from funnel.testing.build import EPOCH

STDOUT, STDERR = Stream.STDOUT, Stream.STDERR


def capturing(
    folder: Path,
    *,
    keep: int = 1000,
    every: float = 0.001,
    wanted: frozenset[Stream] = frozenset(Stream),
) -> Capturing:
    source = Source(TaskId("t"), 0, lambda: EPOCH)
    return Capturing(source, folder, Pace(keep=keep, every=every), wanted)


def taken_up(folder: Path, **given: Any) -> Capturing:
    """As whoever goes on after a crash."""
    one = capturing(folder, **given)
    one.take_up()
    return one


def written(one: Capturing, stream: Stream = STDOUT) -> bytes:
    path = one.path(stream)
    return path.read_bytes() if path else b""


async def chunks(*pieces: bytes, stream: Stream = STDOUT) -> AsyncIterator[Chunk]:
    for piece in pieces:
        yield Chunk(stream, piece)


class Kept:
    """Pieces as a database keeps them: one for each stream and start, and no more than asked."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[Stream, int], Printed] = {}

    async def __call__(self, *pieces: Printed) -> None:
        for piece in pieces:
            self._pieces[piece.stream, piece.start] = piece
            for (stream, start), one in tuple(self._pieces.items()):
                if stream is piece.stream and one.end <= piece.end - piece.keep:
                    del self._pieces[stream, start]

    def text(self, stream: Stream = STDOUT) -> str:
        return tail(one for (of, _), one in sorted(self._pieces.items()) if of is stream)


async def test_both_streams_are_kept_byte_for_byte(tmp_path: Path) -> None:
    one = capturing(tmp_path)
    await one.take(chunks(b"\xff\x00", b"\r\n"))
    await one.take(chunks(b"e", stream=STDERR))
    assert written(one) == b"\xff\x00\r\n"
    assert written(one, STDERR) == b"e"
    assert one.sizes == {STDOUT: 4, STDERR: 1}
    await one.close()


async def test_a_container_that_prints_nothing_makes_no_file(tmp_path: Path) -> None:
    one = capturing(tmp_path)
    await one.take(chunks())
    await one.close()
    assert (one.path(STDOUT), names(tmp_path)) == (None, [])


async def test_a_long_line_takes_little_memory(tmp_path: Path) -> None:
    one, pieces = capturing(tmp_path, keep=10), [b"x" * 2**20] * 64
    tracemalloc.start()
    await one.take(chunks(*pieces))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert one.sizes[STDOUT] == len(written(one)) == 64 * 2**20
    assert most < 8 * 2**20
    await one.close()


async def test_the_first_bytes_are_told_at_once(tmp_path: Path) -> None:
    one, kept, told = capturing(tmp_path, every=3600), Kept(), asyncio.Event()

    async def tell(*pieces: Printed) -> None:
        await kept(*pieces)
        told.set()

    telling = asyncio.create_task(one.tell_forever(tell))
    await one.take(chunks(b"a\n"))
    await told.wait()
    assert kept.text() == "a\n"
    telling.cancel()
    await asyncio.wait({telling})
    await one.close()


async def test_nothing_is_told_where_nothing_is_kept(tmp_path: Path) -> None:
    one = capturing(tmp_path, keep=0)
    await one.take(chunks(b"a\n"))
    assert one.news(final=True) == ()
    await one.close()


async def test_a_stop_loses_nothing_that_was_not_told(tmp_path: Path) -> None:
    one, kept = capturing(tmp_path), Kept()

    async def stuck(*_pieces: Printed) -> None:
        await asyncio.Event().wait()

    telling = asyncio.create_task(one.tell_forever(stuck))
    await one.take(chunks(b"a\n"))
    telling.cancel()
    await asyncio.wait({telling})
    await kept(*one.news(final=True))
    assert kept.text() == "a\n"
    await one.close()


async def test_a_character_that_was_cut_is_left_out_at_the_beginning(tmp_path: Path) -> None:
    one = capturing(tmp_path, keep=3)
    await one.take(chunks("aéé".encode()))
    (news,) = one.news(final=True)
    assert news.text == "é"
    await one.close()


async def test_half_a_character_waits_for_its_other_half(tmp_path: Path) -> None:
    one = capturing(tmp_path)
    await one.take(chunks(b"\xc3"))
    assert one.news(final=False) == ()
    await one.take(chunks(b"\xa9"))
    (news,) = one.news(final=False)
    assert news.text == "é"
    await one.close()


async def test_a_mark_that_cannot_be_read_means_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "stdout-0").write_bytes(b"abc")
    (tmp_path / "stdout-0.told").write_text("")
    one, kept = taken_up(tmp_path), Kept()
    await kept(*one.news(final=True))
    assert kept.text() == "abc"
    await one.close()


def _cut(whole: bytes, at: Iterable[int]) -> list[bytes]:
    points = sorted({0, len(whole), *(min(one, len(whole)) for one in at)})
    return [whole[a:b] for a, b in pairwise(points)]


@given(
    st.text("aé€😀\n", max_size=200),
    st.lists(st.integers(0, 500), max_size=8),
    st.lists(st.sampled_from(["goes on", "dies", "dies unheard"]), min_size=9, max_size=9),
    st.integers(4, 60),
)
def test_the_end_is_kept_however_often_the_worker_dies(
    text: str, at: list[int], fates: list[str], keep: int
) -> None:
    """With each piece the worker tells its news; it may die after or before that is kept."""
    whole = text.encode()

    async def story(folder: Path) -> str:
        kept, one = Kept(), capturing(folder, keep=keep)
        for piece, fate in zip(_cut(whole, at), fates, strict=False):
            await one.take(chunks(piece))
            news = await one.marked()
            one.told(news)
            if fate != "dies unheard":
                await kept(*news)
            if fate != "goes on":
                await one.close()
                one = taken_up(folder, keep=keep)
        await kept(*one.news(final=True))
        await one.close()
        assert written(one) == whole
        return kept.text()

    with tempfile.TemporaryDirectory() as folder:
        end = asyncio.run(story(Path(folder)))
    assert text.endswith(end)
    assert len(whole) <= keep or len(end.encode()) > keep - 4


NOTHING = frozenset[Stream]()


async def test_what_nobody_wants_does_not_fill_the_disk(tmp_path: Path) -> None:
    one, pieces = capturing(tmp_path, wanted=NOTHING), [bytes([n]) * 2**20 for n in range(64)]
    most = 0
    for piece in pieces:
        await one.take(chunks(piece))
        most = max(most, taken(tmp_path))
    await one.take(chunks(b"the end\n"))
    assert most < ROOM + 2 * 2**20
    assert one.sizes[STDOUT] == 64 * 2**20 + 8
    (news,) = one.news(final=True)
    assert (news.end, news.text[-9:]) == (one.sizes[STDOUT], "?the end\n")
    await one.close()


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def taken(folder: Path) -> int:
    return sum(one.stat().st_blocks * 512 for one in folder.iterdir())


async def test_what_nobody_wants_is_gone_on_with_where_it_stopped(tmp_path: Path) -> None:
    told, whole = Kept(), b"".join(b"%07d\n" % number for number in range(2**20))
    one = capturing(tmp_path, wanted=NOTHING)
    await one.take(chunks(whole[: 7 * 2**20]))
    await told(*await one.marked())
    await one.close()
    other = taken_up(tmp_path, wanted=NOTHING)
    assert other.sizes[STDOUT] == 7 * 2**20
    await other.take(chunks(whole[7 * 2**20 :]))
    await told(*other.news(final=True))
    assert told.text().encode() == whole[-1000:]
    await other.close()


async def test_a_kill_while_a_beginning_is_dropped_loses_nothing(tmp_path: Path) -> None:
    """The file is shorter then, and the engine is asked from there."""
    told, whole = Kept(), b"".join(b"%07d\n" % number for number in range(2**20))
    one = capturing(tmp_path, wanted=NOTHING)
    await one.take(chunks(whole))
    await told(*await one.marked())
    await one.close()
    path = one.path(STDOUT)
    assert path
    for size in (0, 5 * 2**20):
        with path.open("r+b") as file:
            file.truncate(0)
            file.truncate(size)
        other = taken_up(tmp_path, wanted=NOTHING)
        assert other.sizes[STDOUT] == size
        await other.take(chunks(whole[size:]))
        await told(*other.news(final=True))
        assert told.text().encode() == whole[-1000:]
        await other.close()
