"""Users with passwords, by HTTP's Basic scheme (RFC 7617)."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TypeAlias

from funnel.auth.settings import BasicCredential
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Identity


class Settings(Value):
    users: tuple[BasicCredential, ...] = ()


Opened: TypeAlias = "AbstractAsyncContextManager[Identity | None]"


def make(settings: Settings, _host: Host) -> Opened:
    """None where there are no users."""
    # What makes hashes takes long to load.
    opened: Opened = import_module("funnel.auth.users").opened(settings.users)
    return opened


PLUGIN = Plugin("Server.BasicAuth", Settings, make)
