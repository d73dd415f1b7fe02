import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path

import pytest

from funnel.core.event import Recorded
from funnel.core.task import TaskId
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.ports import Database, Sink
from funnel.service.feed import deliver, deliver_forever
from funnel.testing.build import EPOCH, batch, created, logged
from funnel.testing.signal import Signal


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    host = Host(now=lambda: EPOCH, deployment="test")
    async with PLUGIN.make(Settings(path=f"{tmp_path}/funnel.db"), host) as database:
        yield database


class Heard:
    """A sink that keeps what it hears, and fails where it is told to."""

    def __init__(self, *, fails_at: int = 0) -> None:
        self.seqs = list[int]()
        self.signal = Signal[int]()
        self._fails_at = fails_at

    async def __call__(self, one: Recorded) -> None:
        if one.seq == self._fails_at:
            self._fails_at = 0
            raise ConnectionError("the sink is away")
        self.seqs.append(one.seq)
        await self.signal(one.seq)


@asynccontextmanager
async def delivering(database: Database, sink: Sink) -> AsyncGenerator[None]:
    loop = asyncio.create_task(deliver_forever(database, "r", sink, waits=at_once))
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def at_once() -> Iterator[float]:
    return repeat(0.0)


async def task_with_logs(database: Database, count: int) -> TaskId:
    task_id = await database.create(created())
    for n in range(count):
        await database.append(batch(logged(task_id, str(n))))
    return task_id


async def test_a_sink_hears_everything_in_order(database: Database) -> None:
    await task_with_logs(database, 4)
    heard = Heard()
    assert await deliver(database, "r", heard, limit=3) == 3
    assert await deliver(database, "r", heard, limit=3) == 2
    assert await deliver(database, "r", heard, limit=3) == 0
    assert heard.seqs == [1, 2, 3, 4, 5]


async def test_where_a_sink_fails_it_goes_on(database: Database) -> None:
    await task_with_logs(database, 4)
    heard = Heard(fails_at=3)
    with pytest.raises(ConnectionError):
        await deliver(database, "r", heard)
    assert await deliver(database, "r", heard) == 3
    assert heard.seqs == [1, 2, 3, 4, 5]


async def test_news_reach_a_sink_that_waits(database: Database) -> None:
    heard = Heard()
    async with delivering(database, heard):
        task_id = await task_with_logs(database, 1)
        await heard.signal.wait_for(2)
        await database.append(batch(logged(task_id, "late")))
        await heard.signal.wait_for(3)
    assert heard.seqs == [1, 2, 3]


async def test_a_sink_that_fails_is_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard(fails_at=2)
    async with delivering(database, heard):
        await task_with_logs(database, 2)
        await heard.signal.wait_for(3)
    assert heard.seqs == [1, 2, 3]
    assert "r cannot be told" in caplog.text


async def test_a_broken_sink_delays_no_other(database: Database) -> None:
    async def broken(one: Recorded) -> None:
        raise ConnectionError(one.seq)

    await task_with_logs(database, 1)
    heard = Heard()
    async with delivering(database, broken):
        assert await deliver(database, "other", heard) == 2
    assert heard.seqs == [1, 2]
