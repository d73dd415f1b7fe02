import asyncio
from collections import deque
from functools import partial
from threading import current_thread
from time import sleep

import pytest

from funnel.storage import threads
from funnel.storage.threads import briefly, spare_threads


class Taken(deque[object]):
    """A thread takes what has come before whoever appended it goes on."""

    def append(self, item: object, /) -> None:
        super().append(item)
        sleep(0.01)


async def test_brief_work_is_done_where_a_thread_takes_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "deque", Taken)
    done = list[int]()
    await asyncio.gather(*[briefly(partial(done.append, number)) for number in range(20)])
    assert sorted(done) == [*range(20)]


async def test_what_brief_work_fails_with_is_raised_by_the_call_of_it() -> None:
    def fail() -> None:
        raise OSError(28, "full")

    failed = await asyncio.gather(
        *[briefly(fail if number % 2 else lambda: None) for number in range(10)],
        return_exceptions=True,
    )
    assert [type(found) for found in failed] == [type(None), OSError] * 5


async def test_a_loop_that_spares_threads_does_itself_what_is_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "PAUSE", 0.2)
    monkeypatch.setattr(threads, "PAUSES", 1)
    assert await briefly(current_thread) is not current_thread()
    spare_threads()
    assert await briefly(current_thread) is current_thread()
    await briefly(lambda: sleep(2 * threads.QUICK))
    assert await briefly(current_thread) is not current_thread()
    await asyncio.sleep(0.3)
    assert await briefly(current_thread) is current_thread()


async def test_a_loop_does_nothing_itself_for_longer_the_longer_something_has_kept_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "PAUSE", 0.1)
    spare_threads()
    await briefly(lambda: sleep(0.05))
    await asyncio.sleep(0.2)
    assert await briefly(current_thread) is not current_thread()
