from pathlib import Path

import pytest

from funnel.config.file import from_file, from_text
from funnel.config.sources import from_environment, from_flags
from funnel.core.error import Invalid, NotFound


def test_scalars_are_taken_as_they_are_written() -> None:
    text = "a: 1.10\nb: 0700\nc: no\nd: 10:20\ne: 2026-01-01\nf: ~\ng:\nh: ''\ni: 1_000\n"
    assert from_text(text, where="x") == {
        "a": "1.10",
        "b": "0700",
        "c": "no",
        "d": "10:20",
        "e": "2026-01-01",
        "f": None,
        "g": None,
        "h": "",
        "i": "1_000",
    }


def test_json_is_yaml() -> None:
    assert from_text('{"Server": {"HTTPPort": 80}, "L": [true, null]}', where="x") == {
        "Server": {"HTTPPort": "80"},
        "L": ["true", None],
    }


def test_anchors_and_merges_are_followed() -> None:
    text = "base: &b {x: '1', y: '2'}\nmore: &c {x: '3'}\nown: {<<: [*c, *b], y: '4'}\nsame: *b\n"
    tree = from_text(text, where="x")
    assert tree["own"] == {"x": "3", "y": "4"}
    assert tree["same"] == {"x": "1", "y": "2"}


def test_an_empty_file_says_nothing() -> None:
    assert from_text("# nothing\n", where="x") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "x line 2: a is given twice"),
        ("a: [1\n", "x line 2: "),
        ("- a\n", "x is not a settings file"),
        ("a: &a [*a]\n", "x line 1: an alias inside itself"),
        ("~: 1\n", "x line 1: a name must be text"),
        ("a: 1\n---\nb: 2\n", "x line 2: but found another document"),
        ("a: \0\n", "x: "),
    ],
)
def test_what_is_no_settings_file_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_text(text, where="x")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.yaml: No such file"):
        from_file(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(Invalid, match="binary is not text in UTF-8"):
        from_file(tmp_path / "binary")


def test_variables_name_paths_with_double_underscores() -> None:
    environ = {
        "FUNNEL__SERVER__HTTP_PORT": "80",
        "FUNNEL__DATABASE": "sqlite",
        "FUNNEL_SERVER": "http://x",
        "HOME": "/",
    }
    assert from_environment(environ) == {"DATABASE": "sqlite", "SERVER": {"HTTP_PORT": "80"}}


def test_flags_name_paths_with_dots() -> None:
    assert from_flags({"Server.HTTPPort": "80", "Worker.X": ["a", "b"], "Compute": "noop"}) == {
        "Server": {"HTTPPort": "80"},
        "Worker": {"X": ["a", "b"]},
        "Compute": "noop",
    }
