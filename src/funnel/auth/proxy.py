"""Who is asking, as a reverse proxy says that has asked them itself."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from funnel.auth.settings import ProxyAuth
from funnel.core.access import Caller
from funnel.core.error import Unauthenticated
from funnel.plugins import Host, Plugin
from funnel.ports import Credentials, Identity

LONGEST: Final = 255
"""Characters of a name."""


class Proxy(Identity):
    def __init__(self, settings: ProxyAuth) -> None:
        self._networks = [ip_network(one) for one in settings.trusted_proxies]
        self._header = settings.user_header.lower()
        self._admins = frozenset(settings.admins)

    async def identify(self, credentials: Credentials) -> Caller | None:
        """The header counts from trusted proxies alone; from others it is as if there were none."""
        said = credentials.headers.get(self._header)
        if said is None or not self._trusts(credentials.peer):
            return None
        name = self._text(said)
        if not 0 < len(name) <= LONGEST or not name.isprintable() or "," in name:
            raise Unauthenticated(f"the proxy's {self._header} does not hold one name")
        return Caller(name=name, administrator=name in self._admins)

    def _text(self, said: str) -> str:
        """
        The UTF-8 that headers are as bytes, and nothing else: in what way a proxy may have meant
        other bytes or `%41` is a guess, and two names must not become one.
        """
        try:
            return said.encode("latin-1").decode()
        except UnicodeError:
            raise Unauthenticated(f"the proxy's {self._header} is not UTF-8") from None

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


@asynccontextmanager
async def make(settings: ProxyAuth, _host: Host) -> AsyncGenerator[Identity | None]:
    """None where no proxy is trusted."""
    yield Proxy(settings) if settings.trusted_proxies else None


PLUGIN = Plugin("Server.ProxyAuth", ProxyAuth, make)
