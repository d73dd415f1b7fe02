"""Stores that lie to a worker: it gets what is right or a clean error, and nothing outside."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from lying import FILE, FOLDER, TIMES, Lie, LyingStore, stores
from scene import STEP, Attempt
from stormy import descriptors_below

from funnel.core.error import FunnelError, Invalid
from funnel.core.task import FileType, Input, Spec
from funnel.service.stage import lay_out, stage
from funnel.storage import download, remote
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage

QUICK = Patience(tries=3, first=0.0, longest=0.0, stall=5.0, worth=1)
LONG = 30.0
"""Seconds in which it must have come to an end."""
SPEC = Spec(
    executors=(STEP,),
    inputs=(
        Input(url=FILE, path="/in/file"),
        Input(url=FOLDER, path="/in/d", type=FileType.DIRECTORY),
    ),
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST", 50)
    monkeypatch.setattr(download, "AFTER", 1e-9)
    monkeypatch.setattr(download, "FAST", 1 << 60)
    monkeypatch.setattr(download, "SLICE", 200)


@settings(max_examples=100)
@example(LyingStore(b"x", ["../../../host/secret"]))
@example(LyingStore(b"x", ["a", "a/b"]))
@example(LyingStore(b"x", ["a/b", "a"]))
@example(LyingStore(b"x", ["a", "a"], [Lie(extra=-1)]))
@example(LyingStore(b"x", ["\ud800"]))
@example(LyingStore(bytes(1000), [], [Lie(extra=-1)] * TIMES))
@example(LyingStore(b"x", [""], endless=True))
@example(LyingStore(b"x", ["a"], [Lie(unsized=True, extra=3, sums="none")]))
@given(stores)
def test_nothing_outside_is_touched_and_what_is_there_is_right(store: LyingStore) -> None:
    with TemporaryDirectory() as top:
        asyncio.run(check(Path(top), replace(store, lies=[*store.lies]), store.lies))


async def check(top: Path, store: LyingStore, told: list[Lie]) -> None:
    attempt, storage = Attempt(top), RemoteStorage(store, QUICK)
    outside = snapshot(top, attempt.root)
    transfers = replace(attempt.transfers, storage=storage)
    plan = attempt.planned(SPEC, {})
    failure = ""
    try:
        async with asyncio.timeout(LONG):
            await stage(plan, attempt.root, transfers, lay_out(plan, attempt.root))
    except FunnelError as error:
        failure = str(error)
    assert not failure or "lies://" in failure or "/in/" in failure
    await nothing_open(top)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not store.open
    assert snapshot(top, attempt.root) == outside
    found = snapshot(attempt.root)
    assert all(is_right(content, store.body, told) for content in found.values())
    files = (name for name in store.names if name and name[-1] != "/")
    wanted = {"in/file", *(f"in/d/{clean(name)}" for name in files)}
    assert found.keys() <= wanted
    assert found.keys() == wanted or failure


async def nothing_open(top: Path) -> None:
    """The thread of who was stopped may be on its way."""
    for _ in range(1000):
        if not descriptors_below(top):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(descriptors_below(top))


def clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def is_right(content: bytes, body: bytes, told: list[Lie]) -> bool:
    """Something else can only be there where the store did not always tell the right checksum."""
    return content == body or any(one.sums != "right" for one in told)


def snapshot(top: Path, but: Path | None = None) -> Mapping[str, bytes]:
    """All files there, and their contents."""
    return {
        str(one.relative_to(top)): one.read_bytes()
        for one in top.rglob("*")
        if one.is_file() and not (but and one.is_relative_to(but))
    }


@pytest.mark.parametrize("names", [("a/b", "a//b"), ("./a", "a"), ("a", "/a"), ("a/./b", "a/b")])
async def test_no_file_of_a_directory_replaces_another(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    store = LyingStore(b"x", names)
    attempt, storage = Attempt(tmp_path), RemoteStorage(store, QUICK)
    with pytest.raises(Invalid, match="another one would both be"):
        await storage.get(FOLDER, tmp_path / "to")
    plan = attempt.planned(SPEC, {})
    with pytest.raises(Invalid, match="another one would both be"):
        await stage(
            plan,
            attempt.root,
            replace(attempt.transfers, storage=storage),
            lay_out(plan, attempt.root),
        )
