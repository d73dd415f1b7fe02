import pytest

from funnel.core.wildcard import has_wildcard, matching, split


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a.txt", "b", "ü"]),
        ("*.txt", ["a.txt"]),
        ("?", ["b", "ü"]),
        ("[ab]*", ["a.txt", "b"]),
        ("[!a]*", ["b", "ü"]),
        (".*", [".hidden"]),
        ("b", ["b"]),
        ("none*", []),
    ],
)
def test_a_part_matches_as_a_shell_has_it(pattern: str, found: list[str]) -> None:
    assert sorted(matching(pattern, iter([".hidden", "a.txt", "b", "ü"]))) == found


def test_the_part_before_the_first_wildcard_is_taken_as_it_is() -> None:
    assert split(("out", "*", "a")) == (("out",), ("*", "a"))
    assert split(("out", "a")) == (("out", "a"), ())
    assert has_wildcard("/a[0]")
    assert not has_wildcard("/a")
