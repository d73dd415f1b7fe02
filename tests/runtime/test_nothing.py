from datetime import UTC, datetime

from funnel.core.container import Container, Exited, Stream
from funnel.plugins import Host
from funnel.runtime.nothing import PLUGIN, Settings


async def test_every_container_ends_at_once_and_well() -> None:
    host = Host(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), deployment="test")
    async with PLUGIN.make(Settings(), host) as runtime:
        await runtime.pull("any/image")
        made = Container(name="one", image="any/image", command=("no-such-command",))
        container_id = await runtime.create(made)
        await runtime.start(container_id)
        assert await runtime.wait(container_id) == Exited(code=0)
        assert [one async for one in runtime.follow(container_id, skip={Stream.STDOUT: 1})] == []
