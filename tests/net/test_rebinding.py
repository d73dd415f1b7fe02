"""A name server that changes its mind: what it said when it was asked must be what counts."""

import asyncio
import secrets
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from lures import FRONT, Counting, Leading
from msgspec import json

TRIALS = 1_000
MOUNTED = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class NameServer(asyncio.DatagramProtocol):
    """Answers each question about an IPv4 address with the next answer, which lasts no time."""

    def __init__(self, address: str, answers: Iterator[list[str]]) -> None:
        self.address = address
        self._answers = answers
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        name_end = data.index(b"\0", 12)
        question = data[12 : name_end + 5]
        addresses = list[str]()
        if question[-4:-2] == b"\0\1":
            self.asked += 1
            addresses = next(self._answers)
        counts = (1).to_bytes(2, "big") + len(addresses).to_bytes(2, "big") + bytes(4)
        records = (
            b"\xc0\x0c\0\1\0\1" + bytes(4) + b"\0\4" + socket.inet_aton(one) for one in addresses
        )
        self._transport.sendto(data[:2] + b"\x81\x80" + counts + question + b"".join(records), addr)


@asynccontextmanager
async def name_server(*answers: list[str]) -> AsyncGenerator[NameServer]:
    loop = asyncio.get_running_loop()
    # The port is the same for all, so each has an address of its own.
    address = ".".join(["127", *(str(secrets.randbelow(254) + 1) for _ in range(3))])
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(address, cycle(answers)), local_addr=(address, 53)
    )
    try:
        yield server
    finally:
        transport.close()


async def went(tmp_path: Path, port: int, server: NameServer) -> dict[str, int]:
    """In a process that has this name server, and no other."""
    settings = tmp_path / "resolv.conf"
    settings.write_text(f"nameserver {server.address}\n")
    asking = Path(__file__).with_name("rebound.py")
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-ec", MOUNTED, "sh", settings),
        *(sys.executable, asking, str(TRIALS), f"http://rebinding.test:{port}/"),
        stdout=PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.decode(out)


@pytest.mark.xdist_group("name-server")
async def test_a_name_that_changes_leads_where_it_was_judged_to_lead(tmp_path: Path) -> None:
    async with (
        Leading().listening() as leading,
        name_server([FRONT], ["127.0.0.1"]) as server,
    ):
        with socket.create_server(("127.0.0.1", leading.port)) as denied:
            denied.settimeout(0)
            found = await went(tmp_path, leading.port, server)
            with pytest.raises(BlockingIOError):
                denied.accept()
    assert found == {"here": TRIALS // 2, "denied": TRIALS // 2}
    assert (server.asked, len(leading.heard)) == (TRIALS, TRIALS // 2)


@pytest.mark.xdist_group("name-server")
async def test_one_address_that_may_not_be_reached_is_one_too_many(tmp_path: Path) -> None:
    async with (
        Counting().listening() as counting,
        name_server([FRONT, "169.254.169.254"], ["10.0.0.1", FRONT]) as server,
    ):
        assert await went(tmp_path, counting.port, server) == {"denied": TRIALS}
    assert (server.asked, counting.connections) == (TRIALS, 0)
