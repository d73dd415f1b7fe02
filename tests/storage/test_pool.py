"""Connections that are lent, one to each, and who waits for them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from funnel.core.error import NotFound, Unavailable
from funnel.storage.patience import Watch
from funnel.storage.pool import Place, Pool
from funnel.storage.unfinished import taken_back

STALL = 0.2


class Made:
    """A connection to nobody."""

    usable = True

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def pool_of(most: int, made: list[Made]) -> AsyncGenerator[Pool[str, Made]]:
    async def connect(_: str) -> Made:
        made.append(Made())
        return made[-1]

    pool = Pool[str, Made](connect, most)
    yield pool
    await pool.close()
    assert all(one.closed for one in made)


@asynccontextmanager
async def lease(pool: Pool[str, Made]) -> AsyncGenerator[Made]:
    async with pool.place("host") as connection, connection() as found:
        yield found


async def test_who_waits_for_a_connection_of_ours_does_not_find_the_store_silent() -> None:
    async def asked(pool: Pool[str, Made]) -> str:
        async with Watch("ftp://host/a", STALL).watching(), lease(pool):
            return "answer"

    async with pool_of(1, made := []) as pool:
        async with lease(pool):
            waiting = [asyncio.create_task(asked(pool)) for _ in range(2)]
            await asyncio.sleep(2 * STALL)
            assert not any(one.done() for one in waiting)
        assert await asyncio.gather(*waiting) == ["answer", "answer"]
    assert len(made) == 1


async def test_a_store_that_is_silent_afterwards_is_given_up() -> None:
    async def asked(pool: Pool[str, Made]) -> None:
        async with Watch("ftp://host/a", STALL).watching(), lease(pool):
            await asyncio.Event().wait()

    async with pool_of(1, []) as pool:
        async with lease(pool):
            waiting = asyncio.create_task(asked(pool))
            await asyncio.sleep(2 * STALL)
        with pytest.raises(Unavailable, match="ftp://host/a: 0 bytes"):
            await waiting
        async with asyncio.timeout(10), lease(pool):
            pass


async def test_who_has_a_place_is_lent_another_one_before_those_who_wait() -> None:
    order = list[str]()

    async def failing(connection: Place[Made], error: Exception) -> None:
        async with connection():
            order.append(type(error).__name__)
            await asyncio.sleep(0)
            raise error

    async def asked(pool: Pool[str, Made]) -> None:
        async with lease(pool):
            order.append("next")

    async with pool_of(1, made := []) as pool:
        async with pool.place("host") as connection:
            waiting = asyncio.create_task(asked(pool))
            for error in (Unavailable(), NotFound()):
                with pytest.raises(type(error)):
                    await failing(connection, error)
        await waiting
    assert order == ["Unavailable", "NotFound", "next"]
    assert [one.closed for one in made] == [True, True]


async def test_when_the_patience_is_at_an_end_what_was_begun_is_still_removed() -> None:
    removed = asyncio.Event()

    async def stored(pool: Pool[str, Made]) -> None:
        async with pool.place("host") as connection:

            async def remove() -> None:
                async with connection():
                    removed.set()

            async with taken_back("ftp://host/a", remove), connection():
                await asyncio.Event().wait()

    async with pool_of(1, []) as pool:
        with pytest.raises(Unavailable, match="0 bytes in"):
            async with Watch("ftp://host/a", STALL).watching():
                await stored(pool)
    assert removed.is_set()


async def test_who_is_cancelled_twice_still_removes_what_was_begun() -> None:
    begun, removing, go_on, removed = (asyncio.Event() for _ in range(4))

    async def remove() -> None:
        removing.set()
        await go_on.wait()
        removed.set()

    async def store() -> None:
        async with taken_back("ftp://host/a", remove):
            begun.set()
            await asyncio.Event().wait()

    storing = asyncio.create_task(store())
    for moment in (begun, removing):
        await moment.wait()
        storing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([storing])
    assert storing.cancelled()
    assert removed.is_set()
