"""Settings as plain data for people to read, secrets hidden."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import json

from funnel.config.config import Config
from funnel.config.known import OWN
from funnel.config.sections import Top
from funnel.config.shape import Key, is_section, list_of, sections_of, shape
from funnel.core.duration import shown
from funnel.core.secret import HIDDEN, Secret
from funnel.core.value import Value


def show(config: Config) -> dict[str, Any]:
    """Every setting as it counts, by the names of the settings file; lists, numbers and text."""
    top = {key.display: getattr(config, name) for name, key in _by_name(Top).items()}
    own = (
        config.server,
        config.rpc_client,
        config.logger,
        config.worker,
        config.remote_workers,
        config.outbound,
        config.storage_access,
    )
    return {
        **{name: _plain(value) for name, value in top.items()},
        **{name: section_shown(part) for name, part in zip(OWN, own, strict=True)},
        **{
            name: shown
            for name, part in config.parts.items()
            if "." not in name and (shown := section_shown(part)) != {}
        },
    }


def section_shown(part: Value) -> Any:
    """One section by the names of the settings file."""
    if entries := list_of(type(part)):
        return _shown(entries.type, getattr(part, entries.name))
    return {
        key.display: _shown(key.type, getattr(part, name))
        for name, key in _by_name(type(part)).items()
    }


def _by_name(cls: type[Value]) -> Mapping[str, Key]:
    return {key.name: key for key in shape(cls).values()}


def _shown(annotation: Any, value: Any) -> Any:
    if is_section(annotation):
        return section_shown(value)
    if sections_of(annotation):
        return [section_shown(one) for one in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None:
        return {"disabled": True}
    if isinstance(value, timedelta):
        return shown(value)
    return json.decode(json.encode(value, enc_hook=_hidden))


def _hidden(value: Any) -> str:
    if isinstance(value, Secret):
        return HIDDEN if value else ""
    raise NotImplementedError(f"{type(value).__name__} is no setting")
