from funnel.core.query import View
from funnel.database.shown import OVERHEAD, Shown


def test_a_document_is_good_for_as_long_as_the_progress_stays() -> None:
    shown = Shown()
    shown.put(View.FULL, 1, b"p1", b"d1")
    assert shown.get(View.FULL, 1, b"p1") == b"d1"
    assert shown.get(View.FULL, 1, b"p2") is None
    shown.put(View.FULL, 1, b"p2", b"d2")
    assert shown.get(View.FULL, 1, b"p2") == b"d2"
    assert shown.get(View.FULL, 1, b"p1") is None


def test_views_and_tasks_are_apart() -> None:
    shown = Shown()
    shown.put(View.FULL, 1, b"p", b"full")
    assert shown.get(View.BASIC, 1, b"p") is None
    assert shown.get(View.FULL, 2, b"p") is None


def test_those_not_asked_for_lately_make_room() -> None:
    shown = Shown(8 * (OVERHEAD + 2))
    for n in range(100):
        shown.put(View.FULL, n, b"p", b"d")
        assert shown.get(View.FULL, 0, b"p") == b"d"
    kept = [n for n in range(100) if shown.get(View.FULL, n, b"p")]
    assert kept[0] == 0
    assert kept[-1] == 99
    assert len(kept) <= 8


def test_what_is_too_large_is_not_kept() -> None:
    shown = Shown(4096)
    shown.put(View.FULL, 1, b"p", b"x" * 4096)
    assert shown.get(View.FULL, 1, b"p") is None
