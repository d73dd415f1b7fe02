import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.path import is_within, joined, parts, text

names = st.text("abc.é ", min_size=1).filter(lambda name: name not in (".", ".."))
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


@given(paths, st.lists(st.one_of(names, st.just(".."))).map(tuple))
def test_nothing_climbs_above_the_root(at: tuple[str, ...], more: tuple[str, ...]) -> None:
    assert ".." not in joined(at, more)
