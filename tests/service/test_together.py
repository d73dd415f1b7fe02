import asyncio

import pytest

from funnel.service.together import first_of, lingering, undisturbed


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
