"""Attempts on the slots of this machine; what works on them is a function of the test."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest
from listening import until

from funnel.compute.idle import Settings as NoopSettings
from funnel.compute.local import PLUGIN, LocalBackend, Settings, of_this_machine
from funnel.compute.noop import PLUGIN as NOOP
from funnel.core.error import FunnelError
from funnel.core.query import View
from funnel.core.slots import GB, Slot
from funnel.core.state import State
from funnel.core.task import Resources, TaskId
from funnel.database.sqlite import SqliteDatabase
from funnel.plugins import Host
from funnel.ports import Accept, Attempt, Job, Refuse
from funnel.testing.build import EPOCH, EVERYONE, batch, created, moved

HOST = Host(now=lambda: EPOCH, deployment="test")


class Crew:
    """Works on attempts until the test lets them go."""

    def __init__(self) -> None:
        self.began: list[TaskId] = []
        self.stopped: list[TaskId] = []
        self.errors: list[Exception] = []
        self._doors: dict[TaskId, asyncio.Event] = {}

    async def work(self, task_id: TaskId, _fence: int) -> None:
        self.began.append(task_id)
        if self.errors:
            raise self.errors.pop(0)
        try:
            await self._door(task_id).wait()
        except asyncio.CancelledError:
            # As the real one does, where the task is over.
            self.stopped.append(task_id)

    def let_go(self, *ids: TaskId) -> None:
        for one in ids:
            self._door(one).set()

    def _door(self, task_id: TaskId) -> asyncio.Event:
        return self._doors.setdefault(task_id, asyncio.Event())


def no_pauses() -> Iterator[float]:
    return repeat(0.0)


@pytest.fixture
def crew() -> Crew:
    return Crew()


@pytest.fixture
async def backend(database: SqliteDatabase, crew: Crew) -> AsyncGenerator[LocalBackend]:
    machine = Slot(2.0, 4 * GB)
    backend = LocalBackend(crew.work, database, HOST.now, Settings(), machine, pauses=no_pauses)
    yield backend
    await backend.close()


async def attempts(database: SqliteDatabase, *asked: Resources) -> list[Attempt]:
    made = [created(resources=one) for one in asked]
    for one in made:
        await database.create(one)
    return [Attempt(one.task_id, 1, one.spec) for one in made]


def cpus(*wanted: int) -> list[Resources]:
    return [Resources(cpu_cores=one) for one in wanted]


def jobs(*of: Attempt) -> list[Job]:
    return [Job(one.task_id, one.fence, "") for one in of]


async def test_attempts_wait_for_room(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    asked = await attempts(database, *cpus(1, 1, 1))
    a, b, c = (one.task_id for one in asked)
    assert all(isinstance(one, Accept) for one in await backend.submit(asked))
    await until(lambda: crew.began == [a, b])
    assert (backend.running, backend.waiting, backend.free.cpus) == (2, 1, 0.0)
    crew.let_go(a)
    await until(lambda: crew.began == [a, b, c])


async def test_what_can_never_fit_is_refused_with_the_reason(
    database: SqliteDatabase, backend: LocalBackend
) -> None:
    asked = await attempts(database, *cpus(3), Resources(ram_gb=5.0), *cpus(1))
    first, second, third = await backend.submit(asked)
    assert first == Refuse("the task asks for 3 CPUs, and this machine has 2")
    assert isinstance(second, Refuse)
    assert isinstance(third, Accept)


async def test_what_asks_for_nothing_holds_the_default(
    database: SqliteDatabase, backend: LocalBackend
) -> None:
    await backend.submit(await attempts(database, Resources()))
    assert backend.free == Slot(1.0, 4 * GB)


async def test_submitting_twice_works_once(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    asked = await attempts(database, *cpus(1, 2))
    await backend.submit(asked)
    await backend.submit(asked)
    await backend.resume(jobs(*asked))
    await until(lambda: crew.began)
    assert (backend.running, backend.waiting) == (1, 1)


async def test_a_cancel_stops_one_that_runs_and_forgets_one_that_waits(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    a, b, c = asked = await attempts(database, *cpus(2, 2, 2))
    await backend.submit(asked)
    await until(lambda: crew.began == [a.task_id])
    await backend.cancel(jobs(a, b))
    await until(lambda: crew.began == [a.task_id, c.task_id])
    assert crew.stopped == [a.task_id]
    await backend.cancel(jobs(a, b))


async def test_a_cancel_of_what_a_dead_server_left_lets_a_worker_clear_up(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    """It comes before the attempt is taken up, which it never is once it is over."""
    left, full = await attempts(database, *cpus(1, 2))
    await backend.submit([full])
    await backend.cancel(jobs(left))
    await until(lambda: set(crew.began) == {left.task_id, full.task_id})


async def test_a_cancel_at_once_gives_the_slot_back(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    a, b = asked = await attempts(database, *cpus(2, 2))
    await backend.submit(asked)
    await backend.cancel(jobs(a))
    await until(lambda: set(crew.began) == {a.task_id, b.task_id})


async def test_a_cancel_before_the_first_step_lets_a_worker_clear_up(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    """As when it comes while a new server takes up what one before has left."""
    (one,) = asked = await attempts(database, *cpus(1))
    await database.append(batch(moved(one.task_id, State.RUNNING)))
    await backend.resume(jobs(*asked))
    await backend.cancel(jobs(one))
    await until(lambda: crew.began == [one.task_id])


async def test_a_second_cancel_does_not_disturb_the_clearing_up(
    database: SqliteDatabase, crew: Crew
) -> None:
    cleared = asyncio.Event()

    async def work(task_id: TaskId, _fence: int) -> None:
        with suppress(asyncio.CancelledError):
            await crew.work(task_id, _fence)
        for _ in range(10):
            await asyncio.sleep(0)
        cleared.set()

    backend = LocalBackend(work, database, HOST.now, Settings(), Slot(1.0, GB))
    (one,) = asked = await attempts(database, *cpus(1))
    await backend.submit(asked)
    await until(lambda: crew.began)
    await backend.cancel(jobs(one))
    await backend.cancel(jobs(one))
    await backend.close()
    assert cleared.is_set()


async def test_those_that_had_begun_come_first_after_a_restart(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    waiting, running, over = asked = await attempts(database, *cpus(2, 1, 1))
    for one, state in ((running, State.RUNNING), (over, State.CANCELED)):
        await database.append(batch(moved(one.task_id, state)))
    unknown = Job(TaskId("unknown"), 1, "")
    await backend.resume([unknown, *jobs(*asked)])
    await until(lambda: crew.began == [running.task_id])
    crew.let_go(running.task_id)
    await until(lambda: crew.began == [running.task_id, waiting.task_id])


async def test_what_had_begun_goes_on_even_on_a_smaller_machine(
    database: SqliteDatabase, backend: LocalBackend, crew: Crew
) -> None:
    big, small = asked = await attempts(database, *cpus(8, 1))
    await database.append(batch(moved(big.task_id, State.RUNNING)))
    await backend.resume(jobs(*asked))
    await until(lambda: crew.began == [big.task_id])
    assert backend.waiting == 1
    crew.let_go(big.task_id)
    await until(lambda: small.task_id in crew.began)


async def test_what_no_longer_fits_after_a_restart_ends(
    database: SqliteDatabase, backend: LocalBackend
) -> None:
    (big,) = await attempts(database, *cpus(8))
    await backend.resume(jobs(big))
    task = await database.get(big.task_id, View.FULL, EVERYONE)
    assert task.state is State.SYSTEM_ERROR
    assert "asks for 8 CPUs" in task.logs[0].system_logs[0]


async def test_a_worker_that_fails_is_tried_again(
    database: SqliteDatabase,
    backend: LocalBackend,
    crew: Crew,
) -> None:
    crew.errors = [OSError("a hiccup"), KeyError("a bug")]
    (one,) = asked = await attempts(database, *cpus(1))
    await backend.submit(asked)
    await until(lambda: crew.began == [one.task_id] * 3)
    assert backend.running == 1


async def test_a_worker_that_fails_always_ends_the_task(
    database: SqliteDatabase,
    backend: LocalBackend,
    crew: Crew,
) -> None:
    crew.errors = [KeyError("a bug")] * 99
    (one,) = asked = await attempts(database, *cpus(1))
    await backend.submit(asked)
    await until(lambda: not backend.running)
    assert (await database.progress(one.task_id)).state is State.SYSTEM_ERROR


async def test_an_end_that_cannot_be_noted_is_no_fault(
    database: SqliteDatabase,
    backend: LocalBackend,
    crew: Crew,
    caplog: pytest.LogCaptureFixture,
) -> None:
    crew.errors = [KeyError("a bug")] * 99
    (one,) = asked = await attempts(database, *cpus(1))
    await database.append(batch(moved(one.task_id, State.COMPLETE)))
    await backend.submit(asked)
    await until(lambda: not backend.running)
    assert "cannot be ended" in caplog.text


async def test_closing_starts_nothing(database: SqliteDatabase, crew: Crew) -> None:
    backend = LocalBackend(crew.work, database, HOST.now, Settings(), Slot(1.0, GB))
    first, _ = asked = await attempts(database, *cpus(1, 1))
    await backend.submit(asked)
    await until(lambda: crew.began)
    await backend.close()
    assert crew.began == crew.stopped == [first.task_id]


@pytest.mark.parametrize(
    ("settings", "slot"), [(Settings(cpus=3.0, ram_gb=2.0), Slot(3.0, 2 * GB))]
)
def test_the_settings_say_what_there_is(settings: Settings, slot: Slot) -> None:
    assert of_this_machine(settings) == slot
    assert of_this_machine(Settings()).cpus >= 1


async def test_it_opens_in_a_server_only(database: SqliteDatabase, crew: Crew) -> None:
    given: dict[str, Any] = {"now": HOST.now, "deployment": "test"}
    host = Host(tasks=database, run_attempt=crew.work, **given)
    async with PLUGIN.make(Settings(), host) as backend:
        assert backend.parameters == {"max_attempts", "retry_on", "timeout"}
        assert b"funnel_slots_free_cpus" in host.metrics.exposition()
    with pytest.raises(FunnelError, match="only inside a server"):
        async with PLUGIN.make(Settings(), HOST):
            pass


async def test_the_noop_backend_takes_all_and_does_nothing(database: SqliteDatabase) -> None:
    asked = await attempts(database, *cpus(1, 99))
    async with NOOP.make(NoopSettings(), HOST) as backend:
        assert [isinstance(one, Accept) for one in await backend.submit(asked)] == [True] * 2
        await backend.cancel(jobs(*asked))
        await backend.resume(jobs(*asked))
    for one in asked:
        assert (await database.progress(one.task_id)).state is State.QUEUED
