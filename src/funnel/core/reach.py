"""Where requests of ours may go, when others have a say in it, and where theirs come from."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from funnel.core.error import Denied, Invalid
from funnel.core.value import Value

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

INDIRECT: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "::/96",  # IPv4-compatible
            "64:ff9b::/96",  # NAT64, which Python calls global
            "64:ff9b:1::/48",
            "2001::/32",  # Teredo
            "2002::/16",  # 6to4
            "fec0::/10",  # site-local, as it once was
        ),
    )
)
"""What leads to an IPv4 address that is not seen."""

METADATA: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "169.254.169.254/32",  # Amazon, Google, Azure, OpenStack and more
            "169.254.170.2/32",  # Amazon, of containers
            "169.254.170.23/32",
            "64:ff9b::a9fe:a9fe/128",  # the same, where IPv4 is behind NAT64
            "fd00:ec2::254/128",
            "fd00:ec2::23/128",
            "fd20:ce::254/128",  # Google
            "100.100.100.200/32",  # Alibaba
            "192.0.0.192/32",  # Oracle
            "168.63.129.16/32",  # Azure, which looks public
        ),
    )
)
"""Who can ask these is given the credentials of the machine."""

METADATA_NAMES: Final = (
    *("metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal"),
    *("instance-data", "instance-data.ec2.internal"),
)


def networks(texts: Iterable[str], setting: str) -> tuple[Network, ...]:
    """As in 10.0.0.0/8. Raises `Invalid`, with the name of the setting."""
    try:
        return tuple(map(ip_network, texts))
    except ValueError as error:
        raise Invalid(f"{setting}: {error}") from error


class Reach(Value, kw_only=True):
    """
    Public addresses, and those in `allowed`; none in `denied`, whatever else is said.

    Of host names `only_hosts`, where there are any, and none of `denied_hosts`; both are
    patterns, as in *.example.org. Metadata services are reached only where they are allowed one
    by one. `setting` is where `allowed` comes from.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    only_hosts: tuple[str, ...] = ()
    denied_hosts: tuple[str, ...] = ()
    setting: str = "Outbound.AllowedNetworks"

    def judge_host(self, host: str) -> None:
        """Of a URL, a name or an address. Raises `Denied`."""
        name = host.lower().rstrip(".")
        if name in METADATA_NAMES:
            raise Denied(f"{host} is a metadata service of a cloud, which no task may ask")
        if _matches(name, self.denied_hosts):
            raise Denied(f"{host} is in Outbound.DeniedHosts")
        if self.only_hosts and not _matches(name, self.only_hosts):
            raise Denied(f"{host} is not in Outbound.OnlyHosts")

    def judge_address(self, address: Address) -> None:
        """Raises `Denied`."""
        if _is_in(_bare(address), self.denied):
            raise Denied(f"{address} is in Outbound.DeniedNetworks")
        if not may_reach(address, self.allowed):
            raise Denied(f"{address} is not a public address, and not in {self.setting}")


def may_reach(address: Address, allowed: Collection[Network]) -> bool:
    """
    Whether it is a public address, or in a network that is allowed all the same.

    >>> from ipaddress import ip_address
    >>> [may_reach(ip_address(one), ()) for one in ("9.9.9.9", "127.0.0.1", "64:ff9b::a9fe:a9fe")]
    [True, False, False]
    """
    address = _bare(address)
    if _is_in(address, METADATA):
        return ip_network(address) in allowed
    return _is_public(address) or _is_in(address, allowed)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, one.lower().rstrip(".")) for one in patterns)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not _is_in(address, INDIRECT)


def _bare(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def near(peer: str) -> str:
    """
    An address, or of IPv6 the network that one machine may have all of.

    >>> near("192.0.2.7"), near("::ffff:192.0.2.7"), near("2001:db8:1:2:3:4:5:6"), near("")
    ('192.0.2.7', '192.0.2.7', '2001:db8:1:2::', '')
    """
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    network = IPv6Address(int(address) >> 64 << 64)
    return str(address.ipv4_mapped or network)
