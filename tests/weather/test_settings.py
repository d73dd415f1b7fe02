"""What the server says at its start about settings that are not safe."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from running import Server

EVERYWHERE = str(IPv4Address(0))

pytestmark = pytest.mark.xdist_group("settings")


def test_a_server_that_everybody_reaches_does_not_start_unless_that_is_wanted(
    make_server: Callable[..., Server],
) -> None:
    flags = ("--Compute", "noop", "--Server.HostName", EVERYWHERE)
    with pytest.raises(RuntimeError, match="there are no accounts"):
        make_server(*flags)
    assert make_server(*flags, "--Server.OpenAccess").answers()
