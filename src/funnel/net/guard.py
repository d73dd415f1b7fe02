"""Finding the addresses of a host, and no other than those that may be reached."""

import asyncio
import socket
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from typing import Any, TypeAlias

from funnel.core.reach import Address, Reach

Found: TypeAlias = tuple[int, int, int, str, Any]
"""As `getaddrinfo` has it: family, kind, protocol, a name, and where."""


class Guard:
    """
    Asks once and judges every answer; the connection is made to what was judged.

    A host that has an address which may not be reached is refused, whatever else it has.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def addresses(self, host: str, port: int) -> list[Found]:
        """Raises `Denied`, and what `getaddrinfo` does."""
        self._reach.judge_host(host)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, where in found:
            self._judge(str(where[0]))
        return [*found]

    def socket_for(self, address: Found) -> socket.socket:
        """For each connection: whatever led here, it goes where it may. Raises `Denied`."""
        family, kind, protocol, _, where = address
        self._judge(str(where[0]))
        return socket.socket(family, kind, protocol)

    def _judge(self, address: str) -> None:
        self._reach.judge_address(ip_address(address.partition("%")[0]))


def literal(host: str) -> Address | None:
    """
    The address that a host is, in any spelling that a resolver would take for one.

    >>> [str(literal(one)) for one in ("127.1", "0xa9fea9fe", "0251.0376.0251.0376", "::1", "a.b")]
    ['127.0.0.1', '169.254.169.254', '169.254.169.254', '::1', 'None']
    """
    with suppress(ValueError):
        return ip_address(host.partition("%")[0])
    # inet_aton takes anything that comes after a space for a comment.
    with suppress(OSError, UnicodeEncodeError):
        return IPv4Address(socket.inet_aton(host)) if " " not in host else None
    return None
