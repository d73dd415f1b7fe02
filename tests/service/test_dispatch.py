"""The work of the outbox is done, whatever the backend and the database are up to."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from listening import until

from funnel.core.error import Unavailable
from funnel.core.event import Accepted, ExecutorExited, Requeued, StateChanged
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.core.work import Claim
from funnel.database.sqlite import SqliteDatabase
from funnel.metrics import Metrics
from funnel.ports import Accept, Answer, Attempt, Job, Refuse
from funnel.service.dispatch import Dispatch
from funnel.service.submit import Submit
from funnel.testing.build import EPOCH, EVERYONE, MINUTE, batch, created, moved, new_id, spec

Seen = list[tuple[TaskId, int]]


class Ledger:
    """A backend that writes down what it is asked, and does as the test says."""

    parameters: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.submitted: Seen = []
        self.cancelled: list[Job] = []
        self.resumed: list[Job] = []
        self.errors: list[Exception] = []
        self.refuses: set[TaskId] = set()
        self.stumbles: set[TaskId] = set()

    def promise(self, attempt: Attempt) -> Accept | None:
        return None if attempt.task_id in self.refuses else Accept(f"job-{attempt.task_id}")

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        self._fail()
        if any(one.task_id in self.stumbles for one in attempts):
            raise OverflowError("a fault of ours")
        self.submitted += [(one.task_id, one.fence) for one in attempts]
        return [self._answer(one.task_id) for one in attempts]

    async def cancel(self, jobs: Sequence[Job]) -> None:
        self._fail()
        self.cancelled += jobs

    async def resume(self, jobs: Sequence[Job]) -> None:
        self._fail()
        self.resumed += jobs

    def _answer(self, task_id: TaskId) -> Answer:
        if task_id in self.refuses:
            return Refuse("it asks for too much")
        return Accept(f"job-{task_id}")

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def backend() -> Ledger:
    return Ledger()


@pytest.fixture
def dispatch(database: SqliteDatabase, backend: Ledger) -> Dispatch:
    return Dispatch(database, backend, "local", lambda: EPOCH, Metrics())


async def create(database: SqliteDatabase, count: int = 1) -> list[TaskId]:
    made = (database.create(created()) for _ in range(count))
    return list(await asyncio.gather(*made))


async def left(database: SqliteDatabase) -> Sequence[Claim]:
    return await database.claim("local", limit=100, lease=MINUTE)


async def test_what_is_accepted_is_noted_and_struck_off(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    ids = await create(database, 5)
    assert await dispatch.once() == 5
    assert sorted(backend.submitted) == [(one, 1) for one in sorted(ids)]
    for one in ids:
        assert (await database.progress(one)).native_id == f"job-{one}"
    assert not await left(database)
    assert await dispatch.once() == 0


async def test_one_refusal_spoils_nothing_else(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    first, second = await create(database, 2)
    backend.refuses = {first}
    await dispatch.once()
    task = await database.get(first, View.FULL, EVERYONE)
    assert task.state is State.SYSTEM_ERROR
    assert "error='it asks for too much'" in task.logs[0].system_logs[0]
    assert (await database.progress(second)).native_id
    assert not await left(database)


@pytest.mark.parametrize("error", [OSError("no route"), TimeoutError(), Unavailable()])
async def test_what_is_unknown_is_asked_again(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch, error: Exception
) -> None:
    (one,) = await create(database)
    backend.errors = [error]
    await dispatch.once()
    assert (await database.progress(one)).state is State.QUEUED
    loop = asyncio.create_task(dispatch.forever())
    await until(lambda: backend.submitted)
    await _stop(loop)
    assert backend.submitted == [(one, 1)]


async def test_one_that_the_backend_stumbles_over_holds_up_nobody(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    ids = await create(database, 4)
    backend.stumbles = {ids[1]}
    await dispatch.once()
    assert sorted(one for one, _ in backend.submitted) == sorted({*ids} - {ids[1]})
    assert (await database.progress(ids[1])).native_id == ""


async def test_an_attempt_that_began_unnoted_is_submitted_again(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    """A server died between the backend's answer and the note of it."""
    (one,) = await create(database)
    await database.append(batch(moved(one, State.RUNNING), fence=1, first=1))
    await dispatch.once()
    assert backend.submitted == [(one, 1)]
    assert (await database.progress(one)).native_id


async def test_what_is_over_is_not_submitted(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create(database)
    await database.append(batch(moved(one, State.CANCELED)))
    await dispatch.once()
    assert backend.submitted == []
    assert not await left(database)


async def test_an_old_attempt_is_not_submitted(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create(database)
    await database.append(batch(Requeued(one, EPOCH, "try again")))
    await dispatch.once()
    assert backend.submitted == [(one, 2)]
    assert not await left(database)


async def test_a_cancel_reaches_the_job(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create(database)
    await dispatch.once()
    await database.append(batch(moved(one, State.CANCELED)))
    await dispatch.once()
    assert backend.cancelled == [Job(one, 1, f"job-{one}")]
    assert not await left(database)


async def test_a_cancel_that_may_not_have_arrived_is_sent_again(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create(database)
    await dispatch.once()
    await database.append(batch(moved(one, State.CANCELED)))
    backend.errors = [OSError("no route")]
    await dispatch.once()
    assert backend.cancelled == []
    loop = asyncio.create_task(dispatch.forever())
    await until(lambda: backend.cancelled)
    await _stop(loop)


async def test_a_cancel_before_the_note_still_stops_the_job(
    database: SqliteDatabase, dispatch: Dispatch, backend: Ledger
) -> None:
    (one,) = await create(database)

    async def slow(attempts: Sequence[Attempt]) -> Sequence[Answer]:
        await database.append(batch(moved(one, State.CANCELED)))
        return [Accept("job-1") for _ in attempts]

    backend.submit = slow
    await dispatch.once()
    await dispatch.once()
    assert backend.cancelled == [Job(one, 1, "job-1")]


async def test_what_a_dead_server_may_have_submitted_is_cancelled_too(
    database: SqliteDatabase, dispatch: Dispatch, backend: Ledger
) -> None:
    """It died before it noted what the backend had answered, and then the task was cancelled."""
    (one,) = await create(database)
    await database.append(batch(moved(one, State.CANCELED)))
    await dispatch.once()
    assert (backend.submitted, backend.cancelled) == ([], [Job(one, 1, "")])
    assert not await left(database)


async def test_work_of_a_deleted_task_is_done_or_struck_off(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (cancelled,) = await create(database)
    await dispatch.once()
    (queued,) = await create(database)
    for one in (cancelled, queued):
        await database.append(batch(moved(one, State.CANCELED)))
        await database.delete(one)
    await dispatch.once()
    assert backend.submitted == [(cancelled, 1)]
    assert backend.cancelled == [Job(cancelled, 1, f"job-{cancelled}")]
    assert not await left(database)


async def test_a_start_takes_up_what_is_unfinished(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    running, done = await create(database, 2)
    for one in (running, done):
        await database.append(batch(Accepted(one, EPOCH, "job")))
    await database.append(
        batch(ExecutorExited(done, EPOCH, 0, 0), StateChanged(done, EPOCH, State.COMPLETE))
    )
    await dispatch.resume()
    assert backend.resumed == [Job(running, 1, "job")]


async def test_the_loop_outlives_every_fault(
    database: SqliteDatabase,
    backend: Ledger,
    dispatch: Dispatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (old,) = await create(database)
    await dispatch.once()
    backend.errors = [ZeroDivisionError("a bug")]
    loop = asyncio.create_task(dispatch.forever())
    await until(lambda: backend.resumed)
    (new,) = await create(database)
    await until(lambda: (new, 1) in backend.submitted)
    await _stop(loop)
    assert [one.task_id for one in backend.resumed] == [old]
    assert "a bug" in caplog.text


async def test_an_answer_that_cannot_be_noted_is_asked_for_again(
    database: SqliteDatabase,
    backend: Ledger,
    dispatch: Dispatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one,) = await create(database)

    async def broken(*_: object, **__: object) -> None:
        raise OSError("a full disk")

    with monkeypatch.context() as patch:
        patch.setattr(database, "settle", broken)
        await dispatch.once()
    loop = asyncio.create_task(dispatch.forever())
    await until(lambda: len(backend.submitted) > 1)
    await _stop(loop)
    assert backend.submitted == [(one, 1), (one, 1)]


async def create_promised(
    database: SqliteDatabase, dispatch: Dispatch, count: int = 1
) -> list[TaskId]:
    submit = Submit(database, dispatch, new_id=new_id, now=lambda: EPOCH)
    made = (submit.create(spec(), owner="ann") for _ in range(count))
    return list(await asyncio.gather(*made))


async def test_what_was_promised_is_handed_over_without_an_errand(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    ids = await create_promised(database, dispatch, 150)
    for one in ids:
        assert (await database.progress(one)).native_id == f"job-{one}"
    assert not await left(database)
    assert [await dispatch.once() for _ in range(3)] == [100, 50, 0]
    assert backend.submitted == [(one, 1) for one in ids]


async def test_what_was_promised_and_stays_unknown_is_asked_again(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create_promised(database, dispatch)
    backend.errors = [OSError("no route")]
    loop = asyncio.create_task(dispatch.forever())
    await until(lambda: backend.submitted)
    await _stop(loop)
    assert backend.submitted == [(one, 1)]


async def test_one_promise_that_the_backend_stumbles_over_holds_up_nobody(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    ids = await create_promised(database, dispatch, 4)
    backend.stumbles = {ids[1]}
    await dispatch.once()
    assert [one for one, _ in backend.submitted] == [ids[0], *ids[2:]]


async def test_a_promise_that_is_broken_ends_the_task(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create_promised(database, dispatch)
    backend.refuses = {one}
    await dispatch.once()
    task = await database.get(one, View.FULL, EVERYONE)
    assert task.state is State.SYSTEM_ERROR
    assert "error='it asks for too much'" in task.logs[0].system_logs[0]


async def test_a_cancel_comes_after_what_was_promised(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create_promised(database, dispatch)
    await database.append(batch(moved(one, State.CANCELED)))
    await dispatch.once()
    assert backend.submitted == [(one, 1)]
    assert backend.cancelled == [Job(one, 1, f"job-{one}")]


async def test_a_start_takes_up_what_was_promised_and_not_handed_over(
    database: SqliteDatabase, backend: Ledger, dispatch: Dispatch
) -> None:
    (one,) = await create_promised(database, dispatch)
    after = Dispatch(database, backend, "local", lambda: EPOCH, Metrics())
    await after.resume()
    assert backend.resumed == [Job(one, 1, f"job-{one}")]


async def _stop(loop: asyncio.Task[None]) -> None:
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop
