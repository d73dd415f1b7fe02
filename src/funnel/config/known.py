"""The whole tree of settings: the program's own sections and those of the plugins."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from funnel.config.sections import Logger, Outbound, RPCClient, Server, StorageAccess, Top
from funnel.config.shape import Key, Shape, list_of, plain, shape
from funnel.core.value import Value
from funnel.plugins import find, names
from funnel.service.settings import RemoteSettings, WorkerSettings

KINDS: Final = ("database", "compute", "runtime", "storage", "identity", "sink")

OWN: Final[Mapping[str, type[Value]]] = {
    "Server": Server,
    "RPCClient": RPCClient,
    "Logger": Logger,
    "Worker": WorkerSettings,
    "RemoteWorkers": RemoteSettings,
    "Outbound": Outbound,
    "StorageAccess": StorageAccess,
}


def plugin_sections(kinds: Sequence[str] = KINDS) -> Mapping[str, type[Value]]:
    """The sections of the plugins that are installed; a dotted one is part of another's."""
    plugins = [find(kind, name) for kind in kinds for name in names(kind)]
    return {one.section: one.settings for one in plugins if one.section and "." not in one.section}


def sections(kinds: Sequence[str] = KINDS) -> Mapping[str, type[Value]]:
    return {**OWN, **plugin_sections(kinds)}


def root(sections: Mapping[str, type[Value]]) -> Shape:
    """The top of the tree: its own settings, and each section as a key named like itself."""
    return {
        **shape(Top),
        **{plain(name): Key(name, name, _type(cls)) for name, cls in sections.items()},
    }


def _type(cls: type[Value]) -> Any:
    found = list_of(cls)
    return found.type if found else cls
