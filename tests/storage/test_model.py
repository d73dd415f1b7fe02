"""Transfers by a store that fails by a script, against the laws that hold whatever it does."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stepping import SETTLED
from stormy import URL, RemovingStore, ScriptedStore, Step, content_of, descriptors_below, tag

from funnel.core.error import Denied, Exists, FunnelError, Unavailable
from funnel.ports import Object
from funnel.storage import download, landing
from funnel.storage.patience import Patience
from funnel.storage.remote import BEGINNINGS, RemoteStorage

SLICE: Final = 40
BLOCK: Final = 16
PATIENCE: Final = Patience(tries=3, first=0.0, longest=0.0, stall=30.0, worth=1)
LONG: Final = 30.0
"""Seconds in which it must have come to an end."""
OLD: Final = b"what was there before"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "AFTER", 1e-9)
        patch.setattr(download, "FAST", 1 << 60)
        patch.setattr(download, "SLICE", SLICE)
        patch.setattr(landing, "BLOCK", BLOCK)
        yield


def body(version: int, size: int) -> bytes:
    """No byte of one version is that of another, and all that are near differ."""
    return bytes((at % 50) * 5 + version for at in range(size))


def near(unit: int, count: int, more: int) -> int:
    return unit * count + more


around = st.sampled_from([-1, 0, 1])
before = st.sampled_from([None, OLD])
sizes = st.one_of(
    st.integers(0, 3),
    st.builds(near, st.sampled_from([BLOCK]), st.integers(1, 3), around),
    st.builds(near, st.sampled_from([SLICE]), st.integers(1, 9), around),
    st.builds(near, st.sampled_from([SLICE]), st.integers(3, 9), around),
)
versions = st.builds(body, st.integers(0, 4), sizes)
errors = st.sampled_from([Unavailable("away"), Unavailable("away"), Denied("not for you")])
cuts = st.one_of(
    st.none(), st.integers(0, 5), sizes, st.integers(1, 5).map(lambda count: count * SLICE)
)
failing = st.builds(Step, error=errors, cut=cuts)
ending = st.builds(Step, cut=cuts)
steps = st.one_of(
    failing,
    ending,
    st.builds(
        Step,
        error=st.one_of(st.none(), errors),
        cut=st.integers(0, 5 * SLICE),
        whole=st.booleans(),
        early=st.sampled_from([0, 0, 0, 1, -1, SLICE]),
        sized=st.booleans(),
        spoiled=st.booleans(),
        changes=st.one_of(st.none(), st.none(), versions),
    ),
    st.builds(Step, whole=st.booleans(), changes=versions),
)


@dataclass(frozen=True, slots=True)
class Weather:
    """What a store has, and what becomes of each request."""

    first: bytes
    steps: list[Step]
    summed: bool
    tagged: bool
    ranged: bool
    piece: int

    def store(self) -> ScriptedStore:
        return ScriptedStore(
            {URL: self.first},
            [*self.steps],
            summed=self.summed,
            tagged=self.tagged,
            ranged=self.ranged,
            piece=self.piece,
        )

    @property
    def versions(self) -> list[bytes]:
        return [self.first, *(one.changes for one in self.steps if one.changes is not None)]


given_to_all: dict[str, st.SearchStrategy[Any]] = {
    "first": versions,
    "ranged": st.sampled_from([True, True, True, False]),
    "piece": st.sampled_from([5, 5, BLOCK, SLICE, 1000]),
}
weathers = st.one_of(
    st.builds(
        Weather,
        steps=st.lists(steps, max_size=8),
        summed=st.sampled_from([True]),
        tagged=st.booleans(),
        **given_to_all,
    ),
    # Without a sum nobody can tell what is spoiled, or ends early where there is no size.
    st.builds(
        Weather,
        steps=st.lists(steps.map(lambda one: replace(one, sized=True, spoiled=False)), max_size=8),
        summed=st.sampled_from([False]),
        tagged=st.sampled_from([True]),
        **given_to_all,
    ),
)


@settings(max_examples=250)
@given(weathers, before)
def test_one_version_comes_or_nothing_does(weather: Weather, before: bytes | None) -> None:
    with TemporaryDirectory() as top:
        run(lambda: check_get(weather, Path(top), before))


async def check_get(weather: Weather, folder: Path, before: bytes | None) -> None:
    store, file = weather.store(), folder / "file"
    if before is not None:
        file.write_bytes(before)
    got: Object | None = None
    with suppress(FunnelError):
        got = await RemoteStorage(store, PATIENCE).get(URL, file)
    found = file.read_bytes() if file.exists() else None
    if got is None:
        assert found == before
    else:
        assert found in weather.versions
        assert got.size_bytes == len(found or b"")
        assert not weather.tagged or got.etag == tag(found or b"")
    assert content_of(folder).keys() <= {"file"}
    assert descriptors_below(folder) == []
    assert store.open == 0
    longest = max(map(len, weather.versions))
    assert len(store.asked) <= len(weather.steps) + BEGINNINGS + longest // SLICE
    assert got or any(one != Step() for one in weather.steps), "nothing was wrong"


storing = st.builds(
    Step,
    error=st.one_of(st.none(), errors),
    cut=cuts,
    spoiled=st.sampled_from([False, False, True]),
    lost=st.booleans(),
)


@settings(max_examples=200)
@example(content=b"x", script=[Step(lost=True)], overwrite=False, before=None)
@given(
    content=versions,
    script=st.lists(storing, max_size=5),
    overwrite=st.booleans(),
    before=before,
)
def test_all_is_stored_or_nothing_is(
    *, content: bytes, script: list[Step], overwrite: bool, before: bytes | None
) -> None:
    run(lambda: check_put(content, script, before, overwrite=overwrite))


async def check_put(
    content: bytes, script: list[Step], before: bytes | None, *, overwrite: bool
) -> None:
    store = RemovingStore({} if before is None else {URL: before}, [*script], piece=BLOCK)
    storage, stored, failure = RemoteStorage(store, PATIENCE), None, None
    try:
        stored = await storage.put(BytesIO(content), URL, overwrite=overwrite)
    except FunnelError as error:
        failure = error
    found = store.files.get(URL)
    if stored:
        assert found == content
        assert stored.size_bytes == len(content)
    if before is not None and not overwrite:
        assert found == before
        assert stored is None
    if failure and not any(map(may_store, script)):
        assert found == before
    assert not isinstance(failure, Exists) or not overwrite
    assert store.open == 0
    assert stored or script or not overwrite, "nothing was wrong"


def may_store(step: Step) -> bool:
    """What it is not told of, or is something else."""
    return step.spoiled or step.lost or (step.cut is not None and step.error is None)


def run(checked: Callable[[], Coroutine[None, None, None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(LONG):
            await checked()
        for _ in range(SETTLED):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(in_time())
