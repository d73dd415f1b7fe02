import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from funnel.together import alongside, first_of, grouped, lingering, together, undisturbed


async def test_what_must_be_done_is_done_before_a_cancel_is_heard() -> None:
    gate, done = asyncio.Event(), list[str]()

    async def job() -> None:
        await gate.wait()
        done.append("cleared")

    waiting = asyncio.create_task(undisturbed(job()))
    await asyncio.sleep(0)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == ["cleared"]


async def test_a_failure_is_raised_as_itself() -> None:
    async def job() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await undisturbed(job())


@pytest.mark.parametrize(("seconds", "ends"), [(60.0, True), (0.0, False)])
async def test_what_lingers_has_so_long_to_end(seconds: float, *, ends: bool) -> None:
    gate, said = asyncio.Event(), list[str]()

    async def job() -> None:
        await gate.wait()
        said.append("ended")

    waiting = asyncio.create_task(lingering(job(), seconds))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    if ends:
        gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert said == (["ended"] if ends else [])


async def test_what_lingers_is_not_left_alone_by_another_cancel() -> None:
    gate, said = asyncio.Event(), list[str]()

    async def job() -> None:
        await gate.wait()
        said.append("ended")

    waiting = asyncio.create_task(lingering(job(), 60))
    await asyncio.sleep(0)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert said == ["ended"]


async def test_the_first_to_end_stops_the_rest() -> None:
    stopped = list[str]()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("stopped")

    await first_of(asyncio.sleep(0), forever(), forever())
    assert stopped == ["stopped"] * 2


async def test_what_the_first_raises_is_raised_and_a_cancel_stops_all() -> None:
    async def fail() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await first_of(asyncio.Event().wait(), fail())
    before = asyncio.all_tasks()
    both = asyncio.create_task(first_of(asyncio.Event().wait(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - before) == 3
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert asyncio.all_tasks() == before


async def _alongside(*jobs: Coroutine[Any, Any, None]) -> None:
    async with alongside(*jobs):
        await asyncio.Event().wait()


async def _together(*jobs: Coroutine[Any, Any, None]) -> None:
    await together((*jobs, _forever()))


async def _forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("several", [_alongside, _together])
@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_cancel_is_heard_though_something_fails_in_that_moment(
    several: Callable[..., Coroutine[Any, Any, None]], *, cancelled_first: bool
) -> None:
    gate, again = asyncio.Event(), list[str]()

    async def fail() -> None:
        await gate.wait()
        raise OSError("no")

    async def outlives_failures() -> None:
        try:
            await several(fail())
        except OSError:
            again.append("failed")
        await asyncio.Event().wait()

    working = asyncio.create_task(outlives_failures())
    for _ in range(3):
        await asyncio.sleep(0)
    if cancelled_first:
        working.cancel()
        gate.set()
    else:
        gate.set()
        working.cancel()
    await asyncio.wait({working}, timeout=5)
    assert working.cancelled()


@pytest.mark.parametrize("several", [_alongside, _together])
async def test_who_clears_up_after_a_cancel_is_not_cancelled_anew(
    several: Callable[..., Coroutine[Any, Any, None]],
) -> None:
    cleared = list[str]()

    async def fail() -> None:
        raise OSError("no")

    async def clears_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(OSError, match="no"):
                await several(fail())
            await asyncio.sleep(0)
            cleared.append("cleared")

    working = asyncio.create_task(clears_up())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working}, timeout=5)
    assert cleared == ["cleared"]


async def test_the_failure_of_the_body_comes_before_those_that_stopping_makes() -> None:
    async def fails_when_stopped() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("while stopping")

    async def body() -> None:
        async with grouped() as group:
            group.create_task(fails_when_stopped())
            await asyncio.sleep(0)
            raise KeyError("body")

    with pytest.raises(KeyError, match="body"):
        await body()
    assert not _cancelling()


async def test_a_body_that_does_not_hear_that_it_is_stopped_fails_all_the_same() -> None:
    async def fails() -> None:
        raise OSError("no")

    async def body() -> None:
        async with grouped() as group:
            group.create_task(fails())
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    with pytest.raises(OSError, match="no"):
        await body()
    assert not _cancelling()


async def test_tasks_made_by_tasks_are_waited_for_and_the_end_of_one_is_no_failure() -> None:
    ended = list[str]()

    async def child() -> None:
        await asyncio.sleep(0)
        ended.append("child")

    async with grouped() as group:

        async def parent() -> None:
            group.create_task(child())
            group.create_task(asyncio.Event().wait()).cancel()
            ended.append("parent")

        group.create_task(parent())
    assert ended == ["parent", "child"]


async def test_nobody_hears_of_further_failures() -> None:
    heard = list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))

    async def fails() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await together(fails() for _ in range(3))
    gc.collect()
    assert not heard


def _cancelling() -> int:
    task = asyncio.current_task()
    assert task
    return task.cancelling()
