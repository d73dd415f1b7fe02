"""Which settings there are: names and types of a settings class, and how names are compared."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard, get_args, get_origin

from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from funnel.core.spelling import nearest
from funnel.core.value import Value

ACRONYMS: Final = {one.lower(): one for one in ("CA", "HTTP", "ID", "RPC", "SQL", "TLS", "URL")}


class Key(NamedTuple):
    """One setting: `display` is how people know it, `name` the field, `type` its annotation."""

    display: str
    name: str
    type: Any
    default: Any = NODEFAULT


Shape: TypeAlias = Mapping[str, Key]
"""The settings of one section by their `plain` names."""


def plain(name: str) -> str:
    """
    What is left of a name when case and separators do not matter.

    >>> plain("http_port") == plain("HTTPPort") == plain("http-port")
    True
    """
    return name.replace("_", "").replace("-", "").lower()


def display(name: str) -> str:
    """
    The name of a field as the settings file has it; use as `rename=display`.

    >>> display("http_port"), display("disable_http_cache")
    ('HTTPPort', 'DisableHTTPCache')
    """
    return "".join(ACRONYMS.get(part, part.capitalize()) for part in name.split("_"))


def shape(cls: type[Value]) -> Shape:
    return {plain(key.display): key for key in map(_key, fields(cls))}


def is_section(annotation: Any) -> TypeGuard[type[Value]]:
    return isinstance(annotation, type) and issubclass(annotation, Value)


def sections_of(annotation: Any) -> type[Value] | None:
    """`T` of a setting that is a list of sections, `tuple[T, ...]`; None for any other."""
    of = get_args(annotation)[0] if get_origin(annotation) is tuple else None
    return of if is_section(of) else None


def list_of(cls: type[Value]) -> Key | None:
    """
    The one setting of a section that is itself a list; None for any other.

    Its class has a single field, which is renamed to nothing.
    """
    first, *more = shape(cls).values() or [None]
    return first if first and not more and not first.display else None


def near(name: str, names: Iterable[str]) -> str:
    """A hint to append to an error: the name that was probably meant, or nothing."""
    known = {plain(one): one for one in names}
    found = nearest(plain(name), known)
    return f", did you mean {known[found]}?" if found else ""


def _key(field: FieldInfo) -> Key:
    name = field.encode_name if field.encode_name != field.name else display(field.name)
    return Key(name, field.name, field.type, _default(field))


def _default(field: FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return field.default
