from ipaddress import ip_address, ip_network

import pytest

from funnel.core.error import Denied, Invalid
from funnel.core.reach import Reach, may_reach, networks


@pytest.mark.parametrize(
    "address",
    [
        *("0.1.2.3", "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.170", "192.0.2.1", "198.18.0.1"),
        *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "100::1"),
        *("2001::1", "2002:7f00:1::", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
        *("fec0::1", "ff02::1"),
    ],
)
def test_what_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(ip_address(address), ())


@pytest.mark.parametrize("address", ["9.9.9.9", "::ffff:9.9.9.9", "2606:4700:4700::1111"])
def test_what_is_public_is_reached(address: str) -> None:
    assert may_reach(ip_address(address), ())


def test_what_is_allowed_is_reached_and_its_neighbours_are_not() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/64"))
    assert may_reach(ip_address("10.1.2.3"), allowed)
    assert may_reach(ip_address("::ffff:10.1.2.3"), allowed)
    assert may_reach(ip_address("fd00::5"), allowed)
    assert not may_reach(ip_address("10.2.0.1"), allowed)
    assert not may_reach(ip_address("127.0.0.1"), allowed)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "168.63.129.16"]
)
def test_a_metadata_service_is_reached_only_where_it_is_named_by_itself(address: str) -> None:
    one = ip_address(address)
    assert not may_reach(one, ())
    assert not may_reach(one, (ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert may_reach(one, (ip_network(address),))


def test_what_is_denied_is_not_reached_whatever_else_is_said() -> None:
    reach = Reach(
        allowed=networks(["10.0.0.0/8"], "A"), denied=networks(["10.1.0.0/16", "9.9.9.9/32"], "D")
    )
    reach.judge_address(ip_address("10.2.0.1"))
    for address in ("10.1.0.1", "::ffff:10.1.0.1", "9.9.9.9"):
        with pytest.raises(Denied, match=r"Outbound\.DeniedNetworks"):
            reach.judge_address(ip_address(address))


def test_hosts_are_judged_by_their_names() -> None:
    reach = Reach(only_hosts=("*.example.org", "other.net"), denied_hosts=("bad.example.org",))
    for name in ("a.example.org", "A.B.EXAMPLE.ORG.", "other.net"):
        reach.judge_host(name)
    for name in ("example.org", "example.org.evil.net", "bad.example.org.", "9.9.9.9"):
        with pytest.raises(Denied, match=r"Outbound\."):
            reach.judge_host(name)


@pytest.mark.parametrize("name", ["metadata", "Metadata.Google.Internal.", "instance-data"])
def test_metadata_services_have_no_name(name: str) -> None:
    with pytest.raises(Denied, match="metadata"):
        Reach().judge_host(name)


def test_a_network_that_is_none_is_refused_by_its_setting() -> None:
    with pytest.raises(Invalid, match=r"Outbound\.AllowedNetworks: 10\.0\.0\.1/8"):
        networks(["10.0.0.1/8"], "Outbound.AllowedNetworks")
