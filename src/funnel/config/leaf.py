"""One setting from what was written for it; files, variables and flags are read alike, as text."""

import types
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from msgspec import DecodeError, ValidationError, convert, json

from funnel.core.duration import parse
from funnel.core.error import Invalid
from funnel.core.secret import Secret, secret_of

Raw: TypeAlias = "str | list[Raw] | dict[str, Raw] | None"

TRUE: Final = frozenset({"true", "yes", "on", "1"})
FALSE: Final = frozenset({"false", "no", "off", "0"})


def read_leaf(raw: Raw, annotation: Any) -> Any:
    """The value of a setting of this type. Raises `Invalid` that says what is expected."""
    try:
        return _read_checked(raw, annotation)
    except Invalid:
        if not is_secret(annotation):
            raise
    # Also without a cause: it would quote what was given.
    raise Invalid("is not what is expected; it is a secret, and not shown")


def _read_checked(raw: Raw, annotation: Any) -> Any:
    value = _read(raw, bare(annotation))
    try:
        return convert(value, annotation, dec_hook=secret_of)
    except ValidationError as error:
        raise Invalid(f"{str(error).partition(' - at')[0].lower()}, not {value!r}") from None


def bare(annotation: Any) -> Any:
    """The type without what is said about it."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    return annotation


def is_secret(annotation: Any) -> bool:
    """Whether a secret is somewhere in it."""
    return annotation is Secret or any(map(is_secret, get_args(annotation)))


def optional(annotation: Any) -> Any:
    """`T` of `T | None`; None for any other type."""
    if get_origin(annotation) in {Union, types.UnionType}:
        rest = [one for one in get_args(annotation) if one is not types.NoneType]
        return rest[0] if len(rest) == 1 else None
    return None


def items(raw: Raw) -> list[Raw]:
    """A list, or text: a JSON array, or what commas separate."""
    if isinstance(raw, list):
        return raw
    if not isinstance(raw, str):
        raise Invalid(f"expected a list, not {_kind(raw)}")
    if raw.lstrip().startswith("["):
        return list(_json(raw, list[str]))
    return [one.strip() for one in raw.split(",") if one.strip()]


def mappings(raw: Raw) -> list[Mapping[str, Raw]]:
    """
    A list of sections, or text: a JSON array of objects.

    What is wrong is not quoted, since secrets may be in it.
    """
    try:
        given = convert(json.decode(raw) if isinstance(raw, str) else raw, list[dict[str, Any]])
    except (DecodeError, ValidationError):
        raise Invalid("expected a list of sections, as in [{Name: value}]") from None
    return [{name: _as_yaml(value) for name, value in one.items()} for one in given]


def _as_yaml(one: Any) -> Any:
    """JSON has numbers and words where YAML gives text."""
    return str(one).lower() if isinstance(one, bool | int | float) else one


def _read(raw: Raw, kind: Any) -> Any:
    inner = optional(kind)
    if inner is not None:
        return _read_optional(raw, bare(inner))
    if kind is timedelta:
        return _wait(raw)
    if get_origin(kind) is tuple:
        return tuple(_read(one, bare(get_args(kind)[0])) for one in items(raw))
    if get_origin(kind) in {Mapping, dict}:
        of = bare(get_args(kind)[1])
        return {key: _read(one, of) for key, one in _pairs(raw).items()}
    if not isinstance(raw, str):
        raise Invalid(f"expected one value, not {_kind(raw)}")
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice(raw, kind)
    return SCALARS.get(kind, str)(raw)


def _read_optional(raw: Raw, kind: Any) -> Any:
    """For None, a timeout says `disabled`, as the reference writes it, or is negative."""
    if raw is None or raw == "" or (isinstance(raw, dict) and _disabled(raw)):
        return None
    if kind is not timedelta:
        return _read(raw, kind)
    duration = _duration(raw)
    return None if duration < timedelta(0) else duration


def _disabled(raw: Mapping[str, Raw]) -> bool:
    return [(key.lower(), value) for key, value in raw.items()] == [("disabled", "true")]


def _wait(raw: Raw) -> timedelta:
    duration = _duration(raw)
    if duration < timedelta(0):
        raise Invalid(f"expected a duration that is not negative, not {raw!r}")
    return duration


def _duration(raw: Raw) -> timedelta:
    if isinstance(raw, dict) and [key.lower() for key in raw] == ["duration"]:
        (raw,) = raw.values()
    if not isinstance(raw, str):
        raise Invalid(f"expected a duration such as 10s, not {_kind(raw)}")
    return parse(raw)


def _pairs(raw: Raw) -> Mapping[str, Raw]:
    if isinstance(raw, dict):
        return raw
    if not isinstance(raw, str):
        raise Invalid(f"expected a mapping, not {_kind(raw)}")
    if raw.lstrip().startswith("{"):
        return dict(_json(raw, dict[str, str]))
    pairs = [one.partition("=") for one in raw.split(",") if one.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise Invalid(f"expected KEY=VALUE,KEY=VALUE or a JSON object, not {raw!r}")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _json(text: str, kind: Any) -> Any:
    try:
        return json.decode(text, type=kind)
    except DecodeError as error:
        raise Invalid(f"{text!r} is not the JSON that is expected: {error}") from None


def _choice(raw: str, kind: type[StrEnum]) -> StrEnum:
    for one in kind:
        if one.value.lower() == raw.lower():
            return one
    raise Invalid(f"expected one of {', '.join(kind)}, not {raw!r}")


def _bool(raw: str) -> bool:
    if raw.lower() in TRUE | FALSE:
        return raw.lower() in TRUE
    raise Invalid(f"expected true or false, not {raw!r}")


def _int(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise Invalid(f"expected a whole number, not {raw!r}") from None


def _float(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise Invalid(f"expected a number, not {raw!r}") from None


def _kind(raw: Raw) -> str:
    match raw:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return repr(raw)


SCALARS: Final[Mapping[Any, Callable[[str], Any]]] = {bool: _bool, int: _int, float: _float}
