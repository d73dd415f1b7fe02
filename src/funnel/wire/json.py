"""TES JSON in."""

import json as plain
from collections.abc import Mapping
from typing import Any, Final

from msgspec import MsgspecError, convert
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.task import Executor, Input, Output, Resources, Spec
from funnel.wire.tolerant import INT32, SERVER_MADE, Doubled, normal

_NO_RESOURCES: Final = Spec().resources
"""The default itself: msgspec leaves out, where it encodes, what is this very object."""
_SPEC: Final = frozenset(Spec.__struct_fields__) | SERVER_MADE
_RESOURCES: Final = frozenset(Resources.__struct_fields__)
_LISTS: Final = tuple(
    (name, frozenset(part.__struct_fields__))
    for name, part in (("executors", Executor), ("inputs", Input), ("outputs", Output))
)
_ESCAPE: Final = b"\\u"
"""Begins what may stand for half a character, or for a colon."""
_TYPE: Final = b'"type"'
_LONGEST: Final = 18
_DECODE: Final = Decoder().decode
_DECODE_SPEC: Final = Decoder(Spec).decode
_ENCODE: Final = Encoder().encode


def read_spec(body: bytes) -> Spec:
    """
    What a client posts to `/tasks` (TES 1.1 `tesTask`); fields that the server makes are ignored.

    Nothing and null are absent, everywhere. Raises `Invalid` with all the fields that are
    unknown or of the wrong type.
    """
    spec = _read_at_once(body)
    if spec is None:
        given = _parsed(body)
        spec = Spec() if given is None else convert(normal(given), Spec)
    return _lean(spec)


def _read_at_once(body: bytes) -> Spec | None:
    """None for what is wrong or unusual; it takes an eighth of the time that tells which."""
    # A single byte is found much sooner than two.
    if b"\\" in body and _ESCAPE in body:
        return None
    try:
        spec = _DECODE_SPEC(body)
    except (MsgspecError, ValueError, RecursionError):
        return None
    is_whole = _is_whole(body, spec) or _is_whole_and_ours(body)
    return spec if is_whole and -INT32 <= spec.resources.cpu_cores < INT32 else None


def _is_whole(body: bytes, spec: Spec) -> bool:
    """
    Whether all of it is in the spec; False may be wrong, where a default was given.

    What is dropped takes its colon with it: a name that is not ours, or one of two equal ones.
    Colons in texts stay. Types of files are written, whether they were given or not.
    """
    added = len(spec.inputs) + len(spec.outputs)
    return body.count(b":") == _ENCODE(spec).count(b":") - added and _TYPE not in body


def _is_whole_and_ours(body: bytes) -> bool:
    """The same of any."""
    given = _DECODE(body)
    return body.count(b":") == _ENCODE(given).count(b":") and _has_our_names(given)


def _lean(spec: Spec) -> Spec:
    if spec.resources is not _NO_RESOURCES and spec.resources == _NO_RESOURCES:
        return replace(spec, resources=_NO_RESOURCES)
    return spec


def _parsed(body: bytes) -> Any:
    """The JSON, in which names that stand twice are marked; None for nothing at all."""
    try:
        text = body.decode()
        return _MARKING.decode(text) if text.strip() else None
    except RecursionError as error:
        raise Invalid("not a task: nested too deeply") from error
    except ValueError as error:
        raise Invalid(f"not a task: {error}") from error


def _has_our_names(given: Mapping[str, Any]) -> bool:
    """Of what has been converted: all else is dropped there."""
    if not (_SPEC.issuperset(given) and _RESOURCES.issuperset(given.get("resources", ()))):
        return False
    return all(known.issuperset(one) for name, known in _LISTS for one in given.get(name, ()))


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


_MARKING: Final = plain.JSONDecoder(object_pairs_hook=_marked, parse_int=_integer)
