import copy
import json
import pickle
from collections.abc import Callable, Mapping

import msgspec
import pytest

from funnel.core.secret import HIDDEN, Secret, secret_of
from funnel.core.value import Value

CANARY = "k1Zs9qXw7TnE4rVb"


class Account(Value, kw_only=True):
    name: str
    password: Secret = Secret()


ANN = Account(name="ann", password=Secret(CANARY))


WAYS: Mapping[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "template": lambda one: f"{one:s} {one!r} {one!a} {one!s:>40} {one:>40}",
    "inside": lambda one: str([one, {one: one}]),
    "pickle": lambda one: repr(pickle.dumps(one)),
    "pickled copy": lambda one: repr(pickle.dumps(copy.deepcopy(one))),
    "error": lambda one: str(ValueError(one)),
    "value": lambda one: repr(Account(name="ann", password=one)),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_but_reveal_shows_a_secret(way: str) -> None:
    shown = WAYS[way](Secret(CANARY))
    assert CANARY not in shown
    assert HIDDEN in shown
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode])
def test_there_is_no_json_of_a_secret(encode: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as refused:
        encode({"account": Secret(CANARY)})
    assert CANARY not in str(refused.value)


def test_a_secret_is_read_from_text_and_from_nothing_else() -> None:
    given = {"name": "ann", "password": CANARY}
    assert msgspec.convert(given, Account, dec_hook=secret_of) == ANN
    with pytest.raises(msgspec.ValidationError, match="a secret is text"):
        msgspec.convert({"name": "ann", "password": 7}, Account, dec_hook=secret_of)


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(CANARY.lower())
    assert Secret("\ud800") != Secret("\ud801")
    assert Secret(CANARY) != CANARY
    assert len({Secret(CANARY), Secret(CANARY), Secret("")}) == 2
    assert Secret(CANARY)
    assert not Secret("")


def test_a_copy_is_as_good_and_a_pickle_is_not() -> None:
    assert copy.deepcopy(ANN) == copy.copy(ANN) == ANN
    made, arguments = Secret(CANARY).__reduce__()
    assert made(*arguments) == Secret(HIDDEN)
