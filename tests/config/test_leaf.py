from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from funnel.config.leaf import Raw, read_leaf
from funnel.core.duration import parse, shown
from funnel.core.error import Invalid
from funnel.core.secret import Secret

SECOND = timedelta(seconds=1)


class Colour(StrEnum):
    RED = "Red"
    DARK_BLUE = "DarkBlue"


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("8000", int, 8000),
        ("-1", int, -1),
        ("2.5", float, 2.5),
        ("3", float, 3.0),
        ("YES", bool, True),
        ("off", bool, False),
        ("0", bool, False),
        ("1000", str, "1000"),
        ("", str, ""),
        ("red", Colour, Colour.RED),
        ("darkblue", Colour, Colour.DARK_BLUE),
        ("10s", timedelta, 10 * SECOND),
        ({"duration": "60s"}, timedelta, 60 * SECOND),
        ({"Duration": "1m"}, timedelta | None, 60 * SECOND),
        ({"disabled": "true"}, timedelta | None, None),
        ("-1s", timedelta | None, None),
        ("a,b", tuple[str, ...], ("a", "b")),
        ("a, b,", tuple[str, ...], ("a", "b")),
        ("", tuple[str, ...], ()),
        ('["a,b", "c"]', tuple[str, ...], ("a,b", "c")),
        (["1", "2"], tuple[int, ...], (1, 2)),
        ({"a": "1"}, Mapping[str, int], {"a": 1}),
        ("a=1,b=x=y", Mapping[str, str], {"a": "1", "b": "x=y"}),
        ('{"a": "b,c"}', Mapping[str, str], {"a": "b,c"}),
        ("hidden", Secret, Secret("hidden")),
        ("7", Annotated[int, Meta(le=7)], 7),
    ],
)
def test_text_becomes_what_the_setting_holds(raw: Raw, kind: Any, value: object) -> None:
    assert read_leaf(raw, kind) == value


@pytest.mark.parametrize(
    ("raw", "kind", "says"),
    [
        ("x", int, "expected a whole number, not 'x'"),
        ("1.5", int, "expected a whole number, not '1.5'"),
        ("x", float, "expected a number, not 'x'"),
        ("maybe", bool, "expected true or false, not 'maybe'"),
        ("green", Colour, "expected one of Red, DarkBlue, not 'green'"),
        ("5 parsecs", timedelta, "'5 parsecs' is not a duration, write it as in 10s, 5m"),
        (["1"], timedelta, "expected a duration such as 10s, not a list"),
        ("-5s", timedelta, "expected a duration that is not negative, not '-5s'"),
        ({"a": "b"}, str, "expected one value, not a mapping"),
        ({"a": "b"}, tuple[str, ...], "expected a list, not a mapping"),
        (["a"], Mapping[str, str], "expected a mapping, not a list"),
        ("a", Mapping[str, str], "expected KEY=VALUE,KEY=VALUE or a JSON object, not 'a'"),
        ("[1", tuple[str, ...], "'[1' is not the JSON that is expected"),
        ("8", Annotated[int, Meta(le=7)], "expected `int` <= 7, not 8"),
    ],
)
def test_other_text_is_refused_with_what_is_expected(raw: Raw, kind: Any, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_leaf(raw, kind)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("10ms", 0.01),
        ("0.5s", 0.5),
        ("5", 5),
        ("-1s", -1),
        ("1d", 86400),
        (".5", 0.5),
    ],
)
def test_durations_are_read_in_go_s_way_and_in_seconds(text: str, seconds: float) -> None:
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "10 s", "1x", "--1s", "1h30", "99999999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)


@given(st.timedeltas(min_value=-timedelta(days=999), max_value=timedelta(days=999)))
def test_a_shown_duration_is_read_back_as_the_same(duration: timedelta) -> None:
    assert abs(parse(shown(duration)) - duration) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"swordfish": "x"}, Secret),
        (["swordfish"], Secret),
        ('["swordfish", 7]', tuple[Secret, ...]),
        ("swordfish", Mapping[str, Secret]),
        ('{"swordfish": 7}', Mapping[str, Secret]),
    ],
)
def test_a_mistake_in_a_secret_does_not_tell_it(raw: Raw, kind: Any) -> None:
    with pytest.raises(Invalid) as refused:
        read_leaf(raw, kind)
    assert str(refused.value) == "is not what is expected; it is a secret, and not shown"
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_secrets_are_read_in_lists_and_mappings() -> None:
    assert read_leaf("a,b", tuple[Secret, ...]) == (Secret("a"), Secret("b"))
    assert read_leaf("a=b", Mapping[str, Secret]) == {"a": Secret("b")}
