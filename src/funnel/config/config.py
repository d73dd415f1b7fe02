"""All settings of a process, from where they are written to what the parts get."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from funnel.auth import basic
from funnel.config import accounts
from funnel.config.known import KINDS, OWN, root, sections
from funnel.config.reading import Partial, Reader, merged, section
from funnel.config.reference import BACKENDS, DATABASES, EMBEDDED, NOT_YET
from funnel.config.sane import problems
from funnel.config.sections import Logger, Outbound, RPCClient, Server, StorageAccess, Top
from funnel.config.shape import near, plain
from funnel.config.sources import Flags, Tree, from_environment, from_flags
from funnel.core.error import Invalid, Problem
from funnel.core.value import Value
from funnel.plugins import Plugin, names
from funnel.service.settings import RemoteSettings, Start, WorkerSettings

S = TypeVar("S", bound=Value)


class Config(Value, kw_only=True):
    """Every setting, checked. `parts` are the settings of the plugins, by section."""

    database: str
    compute: str
    runtime: str
    event_writers: tuple[str, ...]
    events_from: Start
    server: Server
    rpc_client: RPCClient
    logger: Logger
    worker: WorkerSettings
    remote_workers: RemoteSettings
    outbound: Outbound
    storage_access: StorageAccess
    parts: Mapping[str, Value]
    settings_file: str = ""
    """Where they are written; empty for nowhere."""
    warnings: tuple[str, ...] = ()
    """What was asked for and cannot be done yet."""

    def part(self, plugin: Plugin[S, Any]) -> S:
        """What a plugin's section says, or its defaults."""
        found = self.parts.get(plugin.section)
        return found if isinstance(found, plugin.settings) else plugin.settings()


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Flags | None = None,
    kinds: Sequence[str] = KINDS,
) -> Config:
    """
    Settings from a file, over which variables win, over which flags win.

    Who needs the plugins of some `kinds` alone need not wait until all others are loaded.

    Raises `Invalid` with every problem, and `NotFound` for no file.
    """
    sources: list[tuple[str, Tree]] = []
    if path is not None:
        # What reads YAML takes long to load.
        sources.append((str(path), import_module("funnel.config.file").from_file(path)))
    sources.append(("from the environment", from_environment(environ or {})))
    sources.append(("", from_flags(flags or {})))
    return replace(read(sources, kinds), settings_file=str(path or ""))


def read(sources: Sequence[tuple[str, Tree]], kinds: Sequence[str] = KINDS) -> Config:
    """Settings from trees of text, each with its origin; later ones win."""
    known = sections(kinds)
    shape = root(known)
    if kinds != KINDS and not all(plain(name) in shape for _, tree in sources for name in tree):
        # It may be wrong, or be of a plugin that is not loaded.
        return read(sources)
    readers = [Reader(origin) for origin, _ in sources]
    given = merged(
        [
            reader.section(tree, shape, NOT_YET)
            for reader, (_, tree) in zip(readers, sources, strict=True)
        ]
    )
    _refuse([problem for reader in readers for problem in reader.problems])
    ignored = [
        f"{path} is not supported yet and is ignored"
        for reader in readers
        for path in reader.ignored
    ]
    return _config(given, known, ignored)


def _config(given: Partial, known: Mapping[str, type[Value]], warnings: Sequence[str]) -> Config:
    parts = {name: section(cls, given.get(name), name) for name, cls in known.items()}
    _refuse(tuple(problems(parts)))
    chosen, more = _chosen(given)
    server, rpc = _as(Server, parts), _as(RPCClient, parts)
    if not rpc.server_address:
        scheme = "https://" if server.tls.cert_file else ""
        rpc = replace(rpc, server_address=f"{scheme}{server.host_name}:{server.rpc_port}")
    return Config(
        database=chosen.database,
        compute=chosen.compute,
        runtime=chosen.runtime,
        event_writers=chosen.event_writers,
        events_from=chosen.events_from,
        server=server,
        rpc_client=rpc,
        logger=_as(Logger, parts),
        worker=_as(WorkerSettings, parts),
        remote_workers=_as(RemoteSettings, parts),
        outbound=_as(Outbound, parts),
        storage_access=_as(StorageAccess, parts),
        parts={
            **{name: part for name, part in parts.items() if name not in OWN},
            "Server.BasicAuth": basic.Settings(server.basic_auth),
            "Server.OidcAuth": server.oidc_auth,
            "Server.ProxyAuth": server.proxy_auth,
        },
        warnings=(*warnings, *more, *accounts.warnings(server)),
    )


def _as(cls: type[S], parts: Mapping[str, Value]) -> S:
    (found,) = [part for part in parts.values() if type(part) is cls]
    return found


def _chosen(given: Partial) -> tuple[Top, list[str]]:
    """Which adapters are used, and what is said about those that we do not have yet."""
    top = Top(**{name: value for name, value in given.items() if name in Top.__struct_fields__})
    warnings: list[str] = []
    database = top.database.lower()
    if database in EMBEDDED:
        warnings.append(f"Database {top.database} is not supported yet: sqlite is used instead")
        database = "sqlite"
    top = replace(
        top,
        database=_one_of("Database", "database", database, DATABASES),
        compute=_one_of("Compute", "compute", top.compute.lower(), BACKENDS),
        runtime=_one_of("Runtime", "runtime", top.runtime.lower(), frozenset()),
        event_writers=tuple(_writers(top, warnings)),
    )
    return top, warnings


def _one_of(setting: str, kind: str, name: str, not_yet: frozenset[str]) -> str:
    known = names(kind)
    if name in known:
        return name
    if name in not_yet:
        what = f"{name!r} is not supported yet, use {' or '.join(known)}"
    else:
        what = f"{name!r} is not known{near(name, known)}; there is {', '.join(known)}"
    raise Invalid(f"{setting}: {what}", (Problem(setting, what),))


def _writers(top: Top, warnings: list[str]) -> list[str]:
    used, known = list[str](), names("sink")
    for name in dict.fromkeys(one.lower() for one in top.event_writers):
        if name in known:
            used.append(name)
        elif name in DATABASES:
            warnings.append(f"EventWriters: {name} is not supported yet and is ignored")
        elif name not in names("database"):
            what = f"{name!r} is not known{near(name, known)}; there is {', '.join(known)}"
            raise Invalid(f"EventWriters: {what}", (Problem("EventWriters", what),))
    return used


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise Invalid("\n".join(f"{one.field} {one.message}" for one in problems), tuple(problems))
