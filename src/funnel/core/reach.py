"""Where requests of ours may go, when others have a say in it, and where theirs come from."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

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


def may_reach(address: Address, allowed: Iterable[Network]) -> bool:
    """
    Whether it is a public address, or in a network that is allowed all the same.

    >>> from ipaddress import ip_address
    >>> [may_reach(ip_address(one), ()) for one in ("9.9.9.9", "127.0.0.1", "64:ff9b::a9fe:a9fe")]
    [True, False, False]
    """
    address = _bare(address)
    return _is_public(address) or any(address in network for network in allowed)


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in INDIRECT)
    )


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
