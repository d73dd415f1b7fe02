from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Stream
from funnel.core.output import Piece, Place, unread
from funnel.core.task import TaskId


def piece(start: int, text: str, *, executor: int = 0, stream: Stream = Stream.STDOUT) -> Piece:
    end = start + len(text.encode())
    return Piece(
        task_id=TaskId("t"),
        attempt=1,
        executor=executor,
        stream=stream,
        start=start,
        end=end,
        text=text,
    )


@given(st.text("aé漢", max_size=30), st.lists(st.integers(0, 30)), st.integers(0, 5))
def test_text_that_comes_in_pieces_is_read_once_and_whole(
    whole: str, cuts: list[int], again: int
) -> None:
    """Each piece also says again a little of what was before it."""
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [
        piece(len(whole[: max(0, a - again)].encode()), whole[max(0, a - again) : b])
        for a, b in pairwise(places)
    ]
    read, place = "", Place()
    for one in pieces:
        for new, behind in unread(place, [one]):
            assert new.start == place.stdout
            read, place = read + new.text, behind
    assert (read, place.stdout) == (whole, len(whole.encode()))
    assert not [*unread(place, pieces)]


def test_streams_and_executors_have_places_of_their_own() -> None:
    pieces = [
        piece(0, "err", stream=Stream.STDERR),
        piece(0, "out"),
        piece(0, "next", executor=1),
    ]
    seen = [(new.text, place) for new, place in unread(Place(), pieces)]
    assert seen == [
        ("err", Place(1, 0, 0, 3)),
        ("out", Place(1, 0, 3, 3)),
        ("next", Place(1, 1, 4, 0)),
    ]


def test_what_was_not_kept_is_a_gap_before_the_piece() -> None:
    ((new, place),) = unread(Place(1, 0, 3), [piece(10, "late")])
    assert (new.start, new.text, place) == (10, "late", Place(1, 0, 14))
