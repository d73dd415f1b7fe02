"""Settings that are well-formed one by one, and contradict each other or are not safe."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from funnel.config import accounts
from funnel.config.sections import Server
from funnel.config.shape import shape
from funnel.core.error import Invalid, Problem
from funnel.core.storageaccess import prefix_of
from funnel.core.url import password_in
from funnel.core.value import Value

NOTHING = timedelta(0)
URL = re.compile(r"\w+://[^\s'\"]*")
"""The whole of a setting, or one of several in it."""


def problems(parts: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong, each with the way out; `parts` are settings by section, as far as read."""
    yield from _times(parts["Server"])
    yield from _certificates(parts["Server"])
    yield from _client_certificate(parts["RPCClient"])
    yield from _passwords(parts)
    if "SQLite" in parts:
        yield from _places(parts)
    if "Local" in parts:
        yield from _slots(parts["Local"])
    yield from _networks(parts["Outbound"])
    yield from _access(parts["StorageAccess"])
    if isinstance(server := parts["Server"], Server):
        yield from accounts.problems(server)


def _times(server: Any) -> Iterator[Problem]:
    for name in ("header_timeout", "body_timeout", "idle_timeout"):
        if getattr(server, name) <= NOTHING:
            setting = f"Server.{_camel(name)}"
            yield Problem(setting, "must be longer than nothing, or no client gets through")


def _client_certificate(client: Any) -> Iterator[Problem]:
    tls = client.tls
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(tls, name) and not getattr(tls, other):
            what = f"is missing: RPCClient.TLS.{_camel(name)} is of no use without"
            yield Problem(f"RPCClient.TLS.{_camel(other)}", what)


def _passwords(parts: Mapping[str, Value]) -> Iterator[Problem]:
    """Those in URLs, which are shown and logged as any other setting is."""
    for section, part in parts.items():
        for key in shape(type(part)).values():
            urls = URL.findall(str(getattr(part, key.name)))
            if any(map(password_in, urls)):
                setting = f"{section}.{key.display}"
                yield Problem(
                    setting, "has a password in it, where it would be shown: give it apart"
                )


def _certificates(server: Any) -> Iterator[Problem]:
    tls = server.tls
    if tls.cert_file and not tls.key_file:
        yield Problem("Server.TLS.KeyFile", "is missing: Server.TLS.CertFile needs its key")
    if not tls.cert_file and (tls.key_file or tls.client_ca_file):
        yield Problem("Server.TLS.CertFile", "is missing: without it there is no TLS")


def _places(parts: Mapping[str, Any]) -> Iterator[Problem]:
    own = {
        "Worker.WorkDir": parts["Worker"].work_dir,
        "SQLite.Path": parts["SQLite"].path,
        "Logger.OutputFile": parts["Logger"].output_file,
        "Server.TokenKeyFile": parts["Server"].token_key_file,
        "Server.TLS.KeyFile": parts["Server"].tls.key_file,
    }
    for setting in ("Worker.WorkDir", "SQLite.Path"):
        if not own[setting]:
            yield Problem(setting, "is empty: name a place on a local disk")
    paths = {setting: _real(text) for setting, text in own.items() if text}
    if paths.get("Worker.WorkDir") == Path("/"):
        yield Problem("Worker.WorkDir", "is /: name a directory that only the server uses")
    if paths.get("Logger.OutputFile") == paths.get("SQLite.Path", 0):
        yield Problem("Logger.OutputFile", "is the database: name another file")
    yield from _shared(parts["LocalStorage"], paths)


def _shared(files: Any, own: Mapping[str, Path]) -> Iterator[Problem]:
    """Where tasks may write, nothing of the server may be."""
    for name in ("allowed_dirs", "shared_dirs"):
        if not all(one.strip() for one in getattr(files, name)):
            yield Problem(f"LocalStorage.{_camel(name)}", "has an empty name; leave it out")
    for shared in map(_real, files.shared_dirs):
        for setting, path in own.items():
            if path.is_relative_to(shared):
                what = f"holds {setting}, and tasks may write there: share another directory"
                yield Problem("LocalStorage.SharedDirs", f"{shared} {what}")


def _slots(local: Any) -> Iterator[Problem]:
    for name, whole in (("default_cpus", "cpus"), ("default_ram_gb", "ram_gb")):
        most = getattr(local, whole)
        if most and getattr(local, name) > most:
            what = f"is more than Local.{_camel(whole)}: tasks that ask for nothing could not run"
            yield Problem(f"Local.{_camel(name)}", what)


def _networks(outbound: Any) -> Iterator[Problem]:
    for name in ("allowed_networks", "denied_networks"):
        for one in getattr(outbound, name):
            try:
                ip_network(one)
            except ValueError as error:
                yield Problem(f"Outbound.{_camel(name)}", f"has no network: {error}")


def _access(access: Any) -> Iterator[Problem]:
    for at, one in enumerate(access.rules):
        setting = f"StorageAccess.Rules[{at}]"
        if not one.users:
            yield Problem(f"{setting}.Users", 'names nobody; everybody is ["*"]')
        for name in ("read", "write"):
            for url in getattr(one, name):
                try:
                    prefix_of(url)
                except Invalid as error:
                    yield Problem(f"{setting}.{_camel(name)}", f"has no place: {error}")


def _camel(name: str) -> str:
    return name.title().replace("_", "")


def _real(text: str) -> Path:
    return Path(text).resolve()
