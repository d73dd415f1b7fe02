import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.path import Parts, has_below, is_within, is_within_any, outermost, parts, text

names = st.text("ab.é ", min_size=1, max_size=2).filter(lambda name: name not in (".", ".."))
paths = st.lists(names).map(tuple)


@given(paths)
def test_a_path_is_its_parts(path: tuple[str, ...]) -> None:
    assert parts(text(path)) == path


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        ("/data/a", "/data", True),
        ("/data", "/data/", True),
        ("/data2", "/data", False),
        ("/x", "/", True),
        ("/", "/x", False),
    ],
)
def test_paths_are_compared_by_parts(inner: str, outer: str, *, within: bool) -> None:
    assert is_within(parts(inner), parts(outer)) is within


def naive_outermost(of: list[Parts]) -> list[Parts]:
    return sorted({one for one in of if not any(one != two and is_within(one, two) for two in of)})


@given(st.lists(paths, max_size=6), paths)
def test_many_paths_are_compared_as_two_are(many: list[Parts], path: Parts) -> None:
    tops = outermost(many)
    assert tops == naive_outermost(many)
    assert is_within_any(path, tops) == any(is_within(path, one) for one in many)
    below = any(one != path and is_within(one, path) for one in many)
    assert has_below(path, sorted(many)) == below
