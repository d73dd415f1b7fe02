"""TES JSON in."""

import json as plain
import re
from typing import Any, Final, cast

from msgspec import ValidationError, convert
from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.task import Executor, Input, Output, Resources, Spec
from funnel.wire.tolerant import SERVER_MADE, Doubled, normal

_NO_RESOURCES: Final = Spec().resources
"""The default itself: msgspec leaves out, where it encodes, what is this very object."""
_SPEC: Final = frozenset(Spec.__struct_fields__) | SERVER_MADE
_RESOURCES: Final = frozenset(Resources.__struct_fields__)
_LISTS: Final = tuple(
    (name, frozenset(part.__struct_fields__))
    for name, part in (("executors", Executor), ("inputs", Input), ("outputs", Output))
)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST: Final = 18


class _Twice(Exception):
    """A name stands twice in one object."""


def read_spec(body: bytes) -> Spec:
    """
    What a client posts to `/tasks` (TES 1.1 `tesTask`); fields that the server makes are ignored.

    Nothing and null are absent, everywhere. Raises `Invalid` with all the fields that are
    unknown or of the wrong type.
    """
    try:
        text = body.decode()
        given, regular = _parsed(text)
    except RecursionError as error:
        raise Invalid("not a task: nested too deeply") from error
    except ValueError as error:
        raise Invalid(f"not a task: {error}") from error
    if given is None:
        return Spec()
    if regular and _has_our_names(given):
        try:
            return _lean(convert(given, Spec))
        except ValidationError:
            pass
    return _lean(convert(normal(given), Spec))


def _lean(spec: Spec) -> Spec:
    if spec.resources is not _NO_RESOURCES and spec.resources == _NO_RESOURCES:
        return replace(spec, resources=_NO_RESOURCES)
    return spec


def _parsed(text: str) -> tuple[Any, bool]:
    """The JSON, and whether no name stands twice and all characters are whole."""
    if not text.strip():
        return None, True
    try:
        return _strict.decode(text), not _SURROGATE.search(text)
    except _Twice:
        return _marking.decode(text), False


def _has_our_names(given: Any) -> bool:
    """Whether each object has only names of ours; what is no object here, has none."""
    return (
        _is_object(given, _SPEC)
        and _is_object(given.get("resources", {}), _RESOURCES)
        and all(_are_objects(given.get(name, []), known) for name, known in _LISTS)
    )


def _are_objects(given: object, known: frozenset[str]) -> bool:
    return isinstance(given, list) and all(
        _is_object(one, known) for one in cast("list[object]", given)
    )


def _is_object(given: Any, known: frozenset[str]) -> bool:
    return type(given) is dict and given.keys() <= known


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    doubled = Doubled(pairs)
    doubled.name = next(name for name in found if names.count(name) > 1)
    return doubled


def _integer(digits: str) -> int | float:
    """As a float where it is too long to be any field's; then the field can be named."""
    return int(digits) if len(digits) <= _LONGEST else float(digits)


_strict: Final = plain.JSONDecoder(object_pairs_hook=_once, parse_int=_integer)
_marking: Final = plain.JSONDecoder(object_pairs_hook=_marked, parse_int=_integer)
