"""What clients in the field write, brought to the form of the specification."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final, TypeAlias, cast

from msgspec import inspect

from funnel.core.error import Invalid, Problem
from funnel.core.spelling import nearest
from funnel.core.task import FileType, Spec
from funnel.core.validate import entry

SERVER_MADE: Final = frozenset({"id", "state", "logs", "creation_time"})
MOST_SHOWN: Final = 100
GIVEN_TWICE: Final = "given twice"

Names: TypeAlias = Mapping[str, inspect.Field]

_NUMBERS: Final[Mapping[type[Enum], Mapping[object, str]]] = {
    FileType: {0: "FILE", 1: "DIRECTORY"},
}
"""The numbers of enums in the reference's protocol."""

_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
}
INT32: Final = 2**31
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_CAPITAL: Final = re.compile(r"[A-Z]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class Doubled(dict[str, Any]):
    """An object in which `name` stands twice."""

    name: str = ""


def normal(given: object) -> Mapping[str, Any]:
    """
    The same task with the names of the specification and without nulls.

    Takes camelCase, enums by number and integers as text. Raises `Invalid` with every
    field that is unknown or of the wrong type.
    """
    reading = _Reading()
    spec = reading.read_part(_names(Spec), given, "")
    problems = tuple(reading.problems[:MOST_SHOWN])
    if problems:
        texts = "; ".join(f"{one.field}: {one.message}".lstrip(": ") for one in problems)
        raise Invalid(f"not a task: {texts}", problems)
    return spec


class _Reading:
    """Reads on after a mistake, so that all of them are found."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, kind: inspect.Type, given: object, where: str) -> object:
        match kind:
            case inspect.StructType(cls=part):
                return self.read_part(_names(part), given, where)
            case inspect.DictType():
                return self.read_map(given, where)
            case inspect.VarTupleType(item_type=item):
                return self.read_list(item, given, where)
            case inspect.EnumType(cls=words):
                return self.read_word(words, given, where)
            case inspect.IntType():
                return self.read_integer(given, where)
            case _:
                return self.read_plain(kind, given, where)

    def read_part(self, names: Names, given: object, where: str) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for name, value in self.entries(given, where):
            here = f"{where}.{name}" if where else name
            known = name if name in names else _snake(name)
            if known not in names:
                if where or known not in SERVER_MADE:
                    self.wrong(here, f"unknown field{_hint(name, names)}")
            elif known in found:
                self.wrong(here, GIVEN_TWICE)
            elif value is not None:
                found[known] = self.read(names[known].type, value, here)
        return {**_empty(names), **found}

    def read_map(self, given: object, where: str) -> Mapping[str, str]:
        return {
            self.read_text(name, where): self.read_text(value, entry(where, _printable(name)))
            for name, value in self.entries(given, where)
            if value is not None
        }

    def read_list(self, item: inspect.Type, given: object, where: str) -> list[object]:
        if not isinstance(given, list):
            self.expected("an array", given, where)
            return []
        items = cast("list[object]", given)
        return [self.read(item, one, f"{where}[{at}]") for at, one in enumerate(items)]

    def read_word(self, words: type[Enum], given: object, where: str) -> str:
        known = [str(one.value) for one in words]
        word = _NUMBERS[words].get(given) if type(given) is int else given
        if isinstance(word, str) and word in known:
            return word
        self.wrong(where, f"expected {' or '.join(known)}, got {_shown(given)}")
        return known[0]

    def read_integer(self, given: object, where: str) -> int:
        number = _integer(given)
        if number is None:
            self.expected("an integer", given, where)
        elif not -INT32 <= number < INT32:
            self.wrong(where, "must be an integer of at most 32 bits")
        return number or 0

    def read_plain(self, kind: inspect.Type, given: object, where: str) -> object:
        if isinstance(kind, inspect.StrType):
            return self.read_text(given, where)
        if isinstance(kind, inspect.BoolType):
            fits, what = isinstance(given, bool), "a boolean"
        else:
            fits, what = type(given) in {int, float}, "a number"
        if not fits:
            self.expected(what, given, where)
            return 0
        return given

    def read_text(self, given: object, where: str) -> str:
        if not isinstance(given, str):
            self.expected("a string", given, where)
        elif _SURROGATE.search(given):
            self.wrong(where, "half of a surrogate pair is no character")
        else:
            return given
        return ""

    def entries(self, given: object, where: str) -> Iterator[tuple[str, object]]:
        if isinstance(given, Doubled):
            self.wrong(f"{where}.{given.name}" if where else given.name, GIVEN_TWICE)
        if isinstance(given, dict):
            yield from cast("dict[str, object]", given).items()
        else:
            self.expected("an object", given, where)

    def expected(self, what: str, given: object, where: str) -> None:
        self.wrong(where, f"expected {what}, got {_kind(given)}")

    def wrong(self, where: str, message: str) -> None:
        self.problems.append(Problem(_printable(where), _printable(message)))


def _integer(given: object) -> int | None:
    """Integers in the ways of protobuf's JSON: plain, with an empty fraction, or as text."""
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        return int(given)
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _empty(names: Names) -> dict[str, object]:
    """For what is required: an absent field is an empty one, for the validation to tell."""
    return {name: _nothing(field.type) for name, field in names.items() if field.required}


def _nothing(kind: inspect.Type) -> object:
    return () if isinstance(kind, inspect.VarTupleType) else ""


def _kind(given: object) -> str:
    return _KINDS.get(type(given), "an object")


@cache
def _names(part: type) -> Names:
    kind = inspect.type_info(part)
    fields = kind.fields if isinstance(kind, inspect.StructType) else ()
    return {field.name: field for field in fields}


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: "_" + found[0].lower(), name)


def _hint(name: str, names: Names) -> str:
    near = nearest(name, names)
    return f", did you mean {near}?" if near else ""


def _shown(given: object) -> str:
    return repr(given[:80]) if isinstance(given, str) else _kind(given)


def _printable(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)
