"""Large files in parts, each part with each fault: whole, or an error and nothing that is left."""

import asyncio
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import repeat
from typing import Final

import pytest
from parted import PART, S3, Azure, Google, Parted, Strike, Swift, cut, lost, refused, stuck
from weather import shrink

from funnel.core.error import Denied, FunnelError, Unavailable
from funnel.storage import patience
from funnel.storage.google import upload

CONTENT: Final = bytes(range(251)) * 400
"""Six parts and the beginning of a seventh."""
STORES: Final = (S3, Google, Azure, Swift)
PARTS: Final = [f"part {number}" for number in range(1, 8)]
TRIES: Final = 2
"""Of a part, as `shrink` has it."""
MOST: Final = 50
"""Of one fault: more than anybody asks."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, PART)
        for module in (patience, upload):
            patch.setattr(module, "delays", at_once)
        yield


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Parted:
    found = request.param()
    assert isinstance(found, Parted)
    return found


def at_once(**_: float) -> Iterator[float]:
    """Pauses of none."""
    return repeat(0.0)


async def put(store: Parted, strikes: Mapping[str, list[Strike]]) -> FunnelError | None:
    """What comes of it, where that is an error."""
    store.strikes = strikes
    async with store.running() as storage:
        try:
            stored = await storage.put(BytesIO(CONTENT), store.url)
        except FunnelError as error:
            return error
    assert stored.size_bytes == len(CONTENT)
    return None


def check(store: Parted, failure: BaseException | None) -> None:
    removed = [count for name, count in store.asked.items() if name.startswith("remove 0")]
    if failure is None:
        assert store.files == {"a": CONTENT}
        assert not store.asked["abort"]
        assert not removed
    else:
        assert store.files == {}
        assert store.asked["abort"] == (1 if store.aborts else 0)
        assert all(count == 1 for count in removed)
        assert removed or not isinstance(store, Swift)
    assert store.left == []


@pytest.mark.parametrize("strike", [refused(500), refused(429), cut, lost])
async def test_what_fails_once_is_sent_again(store: Parted, strike: Strike) -> None:
    for name in {*PARTS, store.ends}:
        one = type(store)()
        check(one, await put(one, {name: [strike]}))
        others = sum(one.asked[part] for part in PARTS if part != name)
        assert others == len(PARTS) - (name in PARTS), "others were sent again"


@pytest.mark.parametrize("strike", [refused(500), cut])
async def test_what_always_fails_is_given_up(store: Parted, strike: Strike) -> None:
    for name in PARTS:
        one = type(store)()
        failure = await put(one, {name: [strike] * MOST})
        assert isinstance(failure, Unavailable)
        assert one.url in str(failure)
        check(one, failure)
        # One over a connection that is kept may be sent once more, over a new one.
        assert TRIES <= one.asked[name] <= 2 * TRIES


async def test_what_is_refused_for_good_is_not_sent_again(store: Parted) -> None:
    for name in {*PARTS, store.ends}:
        one = type(store)()
        failure = await put(one, {name: [refused(403)] * MOST})
        assert isinstance(failure, Denied)
        check(one, failure)
        assert one.asked[name] == 1


async def test_several_parts_that_fail_are_one_failure(store: Parted) -> None:
    failure = await put(store, {name: [refused(403)] * MOST for name in PARTS})
    assert isinstance(failure, Denied)
    check(store, failure)


async def test_who_is_cancelled_leaves_nothing(store: Parted) -> None:
    for name in {*PARTS, store.ends}:
        one = type(store)()
        one.strikes = {name: [stuck]}
        async with one.running() as storage:
            putting = asyncio.create_task(storage.put(BytesIO(CONTENT), one.url))
            await one.reached.wait()
            putting.cancel()
            await asyncio.wait([putting])
            assert putting.cancelled()
        if isinstance(one, Swift):
            # What is on its way may come late: this says to a sweep that it is not whole.
            one.parts = {at: part for at, part in one.parts.items() if not at.endswith("/begun")}
            assert one.files == {}
            # Nobody knows whether the store goes on with what it was asked for last.
            assert name == "complete" or one.left == []
        else:
            check(one, asyncio.CancelledError())


@pytest.mark.parametrize("kind", [S3, Swift])
async def test_what_is_to_be_removed_is_so_where_that_fails_once(kind: type[Parted]) -> None:
    one = kind()
    name = one.aborts or "remove 00000002"
    failure = await put(one, {"part 3": [refused(403)], name: [refused(500)]})
    assert isinstance(failure, Denied)
    assert one.asked[name] == 2
    assert one.left == []


@pytest.mark.parametrize("kind", [S3, Google])
async def test_what_cannot_be_removed_does_not_hide_what_went_wrong(kind: type[Parted]) -> None:
    one = kind()
    failure = await put(one, {"part 3": [refused(403)], "abort": [stuck]})
    assert isinstance(failure, Denied)
    assert one.files == {}
    assert one.asked["abort"] == 1
