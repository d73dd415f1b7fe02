"""What the server says at its start about settings that are not safe."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from running import Server

EVERYWHERE = str(IPv4Address(0))

pytestmark = pytest.mark.xdist_group("settings")


@pytest.mark.parametrize(
    ("flags", "warns"),
    [
        ((), False),
        (("--Server.HostName", EVERYWHERE), True),
        (("--Server.HostName", EVERYWHERE, "--Server.OpenAccess"), False),
    ],
)
def test_a_server_that_others_reach_says_so_unless_that_is_wanted(
    make_server: Callable[..., Server], flags: tuple[str, ...], *, warns: bool
) -> None:
    server = make_server("--Compute", "noop", *flags)
    assert ("there are no accounts" in server.log.read_text()) is warns
