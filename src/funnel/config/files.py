"""Files that the settings name, and their own: what is in them is not for tasks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from funnel.config.config import Config
from funnel.core.value import Value

END: Final = "_file"
"""Of the names of settings that name a file: of keys and passwords, of certificates, of the log."""


def files_of(config: Config) -> Iterator[Path]:
    """A task that wrote them could do as much harm as one that read them."""
    return map(Path, _named(config))


def _named(part: Value) -> Iterator[str]:
    for name in part.__struct_fields__:
        found: Any = getattr(part, name)
        if isinstance(found, str):
            yield from [found] if found and name.endswith(END) else []
        for inner in _inner(found):
            yield from _named(inner)


def _inner(found: Any) -> Iterator[Value]:
    several: list[Any] = [found]
    if isinstance(found, Mapping):
        several = [*cast("Mapping[str, Any]", found).values()]
    elif isinstance(found, tuple):
        several = [*found]
    return (one for one in several if isinstance(one, Value))
