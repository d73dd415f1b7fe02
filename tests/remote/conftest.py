import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from attempts import opened
from fleet import Fleet
from place import Place
from rig import Rig
from running import free_port


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Place]:
    async with opened(tmp_path) as database:
        yield Place(database, tmp_path / "work")


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A server whose leases are as long as the test says, and workers with these flags."""
    with ExitStack() as stack:

        def make(*, lease: str = "30s", grace: str = "15m", flags: Sequence[str] = ()) -> Fleet:
            port = free_port()
            rig = Rig(
                tmp_path / "rig",
                *("--Compute=external", "--Server.RPCPort", str(port)),
                *(f"--RemoteWorkers.Lease={lease}", f"--RemoteWorkers.ReconnectGrace={grace}"),
            )
            stack.callback(rig.close)
            fleet = Fleet(rig, port, flags)
            stack.callback(fleet.close)
            rig.start()
            assert rig.serves()
            return fleet

        yield make


@pytest.fixture(scope="session")
def everything() -> bool:
    """Whether each point shall be tried, and not only a part: `make faults`."""
    return os.environ.get("FUNNEL_FAULTS") == "all"
