import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import repeat

import pytest

from funnel.core.error import Unavailable
from funnel.core.event import Requeued
from funnel.core.message import Numbered, Type
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.metrics import Metrics
from funnel.ports import Database, Sink
from funnel.service.feed import PAGE, Delivery
from funnel.service.settings import Start
from funnel.testing.build import EPOCH, batch, created, logged, moved
from funnel.testing.signal import Signal


class Heard:
    """A sink that keeps what it hears, and fails at its first calls."""

    def __init__(self, *faults: Exception) -> None:
        self.told = list[Numbered]()
        self.signal = Signal[str]()
        self._faults = [*faults]

    async def __call__(self, told: Sequence[Numbered]) -> None:
        if self._faults:
            raise self._faults.pop(0)
        self.told += told
        for one in told:
            await self.signal(words(one))

    @property
    def words(self) -> list[str]:
        return [*map(words, self.told)]


def words(told: Numbered) -> str:
    said = told.message.system_log
    return said.msg if said else told.message.type


def at_once() -> Iterator[float]:
    return repeat(0.0)


def delivery(
    database: Database, sink: Sink, *, name: str = "r", metrics: Metrics | None = None
) -> Delivery:
    return Delivery(database, name, sink, metrics=metrics or Metrics(), waits=at_once)


@asynccontextmanager
async def delivering(one: Delivery) -> AsyncGenerator[None]:
    loop = asyncio.create_task(one.forever())
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def task_with_logs(database: Database, *texts: str) -> TaskId:
    task_id = await database.create(created())
    for text in texts:
        await database.append(batch(logged(task_id, text)))
    return task_id


async def test_a_sink_hears_everything_in_order(database: Database) -> None:
    heard = Heard()
    one = delivery(database, heard)
    await one.begin(Start.NOW)
    await task_with_logs(database, "a", "b")
    assert await one.deliver() == 3
    assert await one.deliver() == 0
    assert heard.words == [Type.TASK_CREATED, "a", "b"]


async def test_a_new_sink_hears_what_is_to_come(database: Database) -> None:
    late, early = Heard(), Heard()
    task_id = await task_with_logs(database, "before")
    one, other = delivery(database, late), delivery(database, early, name="other")
    await one.begin(Start.NOW)
    await other.begin(Start.BEGINNING)
    await database.append(batch(logged(task_id, "after")))
    await one.deliver()
    await other.deliver()
    assert late.words == ["after"]
    assert early.words == [Type.TASK_CREATED, "before", "after"]


async def test_after_a_restart_it_goes_on(database: Database) -> None:
    heard = Heard()
    one = delivery(database, heard)
    await one.begin(Start.NOW)
    async with delivering(one):
        task_id = await task_with_logs(database, "a")
        await heard.signal.wait_for("a")
    await database.append(batch(logged(task_id, "b")))
    again = delivery(database, heard)
    await again.begin(Start.BEGINNING)
    async with delivering(again):
        await heard.signal.wait_for("b")
    assert heard.words == [Type.TASK_CREATED, "a", "b"]


async def test_marks_are_made_while_it_goes_on(database: Database) -> None:
    heard = Heard()
    one = delivery(database, heard)
    await one.begin(Start.NOW)
    async with delivering(one):
        await task_with_logs(database, "a")
        seen = 0
        while await database.mark("r") != await database.newest():
            seen = await database.wait(seen, within=timedelta(seconds=5))


async def test_more_than_a_page_arrives_whole(database: Database) -> None:
    heard = Heard()
    one = delivery(database, heard)
    await one.begin(Start.NOW)
    task_id = await database.create(created())
    texts = [str(n) for n in range(PAGE * 2)]
    await database.append(batch(*(logged(task_id, text) for text in texts)))
    async with delivering(one):
        await heard.signal.wait_for(texts[-1])
    assert heard.words == [Type.TASK_CREATED, *texts]
    assert len({one.key for one in heard.told}) == len(heard.told)


@pytest.mark.parametrize("fault", [Unavailable("away"), ConnectionError("away"), KeyError("away")])
async def test_a_sink_that_fails_is_told_again(
    database: Database, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    heard, metrics = Heard(fault, fault), Metrics()
    one = delivery(database, heard, metrics=metrics)
    await one.begin(Start.NOW)
    await task_with_logs(database, "a")
    async with delivering(one):
        await heard.signal.wait_for("a")
    assert heard.words == [Type.TASK_CREATED, "a"]
    assert "r cannot be told, trying again in" in caplog.text
    shown = metrics.exposition().decode()
    assert 'funnel_sink_failures_total{sink="r"} 2.0' in shown
    assert 'funnel_sink_messages_total{sink="r"} 2.0' in shown
    assert 'funnel_sink_lag_events{sink="r"} 0.0' in shown


async def test_a_sink_that_is_away_shows_how_far_it_is_behind(database: Database) -> None:
    failed, metrics = asyncio.Event(), Metrics()

    async def broken(_told: Sequence[Numbered]) -> None:
        failed.set()
        raise Unavailable

    one = delivery(database, broken, metrics=metrics)
    await one.begin(Start.NOW)
    await task_with_logs(database, "a")
    async with delivering(one):
        await failed.wait()
        failed.clear()
        await failed.wait()
    assert 'funnel_sink_lag_events{sink="r"} 2.0' in metrics.exposition().decode()


async def test_a_broken_sink_delays_no_other(database: Database) -> None:
    async def broken(told: Sequence[Numbered]) -> None:
        raise ConnectionError(len(told))

    heard = Heard()
    one, other = delivery(database, broken), delivery(database, heard, name="other")
    await one.begin(Start.NOW)
    await other.begin(Start.NOW)
    async with delivering(one), delivering(other):
        await task_with_logs(database, "a")
        await heard.signal.wait_for("a")
    assert heard.words == [Type.TASK_CREATED, "a"]


async def test_attempts_are_told_apart_also_after_a_restart(database: Database) -> None:
    heard = Heard()
    first = delivery(database, heard)
    await first.begin(Start.BEGINNING)
    task_id = await task_with_logs(database, "a")
    await first.deliver()
    await database.append(batch(Requeued(task_id, EPOCH, "lost"), logged(task_id, "b")))
    await database.append(batch(Requeued(task_id, EPOCH, "lost"), logged(task_id, "c")))
    await first.deliver()
    attempts = [(words(one), one.message.attempt) for one in heard.told]
    assert attempts == [
        (Type.TASK_CREATED, 0),
        ("a", 0),
        (Type.TASK_STATE, 1),
        ("b", 1),
        (Type.TASK_STATE, 2),
        ("c", 2),
    ]
    fresh = Heard()
    second = delivery(database, fresh, name="other")
    await second.begin(Start.NOW)
    await database.append(batch(moved(task_id, State.CANCELED), logged(task_id, "late")))
    await second.deliver()
    assert [one.message.attempt for one in fresh.told] == [2, 2, 2]
