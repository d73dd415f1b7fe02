"""Finding the addresses of a host, and no other than those that may be reached."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from funnel.core.error import Denied
from funnel.core.reach import Network, may_reach


class Guard(AbstractResolver):
    """
    Asks once and judges every answer; the connection is made to what was judged.

    A host that has an address which may not be reached is refused, whatever else it has;
    `setting` is where the ones are `allowed` that may.
    """

    def __init__(self, allowed: Sequence[Network], setting: str) -> None:
        self._allowed = allowed
        self._setting = setting

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        return [
            ResolveResult(
                hostname=host,
                host=self.judged(str(where[0])),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, where in found
        ]

    def judged(self, address: str) -> str:
        """The address. Raises `Denied` where it may not be reached."""
        if not may_reach(ip_address(address.partition("%")[0]), self._allowed):
            raise Denied(f"{address} is not a public address, and not in {self._setting}")
        return address

    def judge_literal(self, host: str) -> None:
        """A host that is an address is never resolved, so it is judged here."""
        try:
            ip_address(host)
        except ValueError:
            return
        self.judged(host)

    async def close(self) -> None:
        """Nothing to close."""
