"""Transfers that are cancelled at each step they take: nothing of them is left."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from s3_server import USERS, generic
from stepping import Steps, cancelled_at
from stores import Server
from stormy import AWAY, BODY, PIECE, QUICK, URL, RemovingStore, Step, descriptors_below
from weather import shrink

from funnel.core.error import Invalid, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.ports import Object, Share
from funnel.service.budget import Budget
from funnel.storage import content, download, landing, remote
from funnel.storage.remote import RemoteStorage
from funnel.storage.s3.settings import Entry
from funnel.testing.build import new_id

T = TypeVar("T")
CONNECTIONS, MEMORY = 4, 1 << 24
OLD = b"what was there before"
CUT = Step(cut=3 * PIECE)
SLOW = Step(trickle=0.0001)
SPOILED = Step(spoiled=True)
ALWAYS_SPOILED = [SPOILED] * QUICK.tries
FOLDER = "script://a/d"
FILES: Mapping[str, bytes] = {str(number): BODY[number:] for number in range(3)}

Deed: TypeAlias = Callable[[RemoteStorage, Path, Share], Coroutine[Any, Any, Object]]


async def get(storage: RemoteStorage, folder: Path, share: Share) -> Object:
    return await storage.get(URL, folder / "file", share)


async def get_directory(storage: RemoteStorage, folder: Path, share: Share) -> Object:
    return await storage.get(f"{FOLDER}/", folder, share)


async def put(storage: RemoteStorage, _: Path, share: Share) -> Object:
    return await storage.put(BytesIO(BODY), URL, share)


@dataclass
class Trial:
    """One transfer from or to a store of its own."""

    folder: Path
    deed: Deed
    steps: list[Step]
    at: int
    again: bool
    running: int = 0
    """Pieces of work that are in threads, or wait for one."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> bool:
        """Whether it was cancelled; raises `AssertionError`."""
        return asyncio.run(self._run())

    async def _run(self) -> bool:
        store = RemovingStore({URL: OLD if self.deed is put else BODY}, list(self.steps))
        store.files |= {f"{FOLDER}/{name}": text for name, text in FILES.items()}
        storage, budget = RemoteStorage(store, QUICK), Budget(CONNECTIONS, MEMORY)
        steps = Steps(self.at, again=self.again)
        with pytest.MonkeyPatch.context() as patch:
            for module in (content, landing):
                for name in ("briefly", "to_the_end"):
                    patch.setattr(module, name, self._counted(getattr(module, name)))
            answer = None
            with suppress(Unavailable):
                answer = await cancelled_at(
                    steps, lambda: self.deed(storage, self.folder, budget.share())
                )
            assert not self.running, "threads go on"
        assert not store.open, "an answer was left"
        assert descriptors_below(self.folder) == []
        await all_given_back(budget)
        assert answer or steps.reached or self.steps == ALWAYS_SPOILED
        self._check_files(done=answer is not None)
        if self.deed is put:
            self._check_stored(store.files.get(URL), done=answer is not None)
        return steps.reached

    def _check_files(self, *, done: bool) -> None:
        wanted: Mapping[str, bytes] = {"file": BODY} if self.deed is get else {}
        wanted = FILES if self.deed is get_directory else wanted
        found = {one.name: one.read_bytes() for one in self.folder.iterdir()}
        assert found.items() <= wanted.items(), "something else is there"
        assert found == wanted or not done
        for name in found:
            (self.folder / name).unlink()

    def _check_stored(self, found: bytes | None, *, done: bool) -> None:
        spoiled = SPOILED in self.steps
        assert found == BODY or not done
        assert found in {BODY, OLD} or (spoiled and found is None)

    def _counted(
        self, in_thread: Callable[[Callable[[], T]], Awaitable[T]]
    ) -> Callable[[Callable[[], T]], Coroutine[Any, Any, T]]:
        def add(count: int) -> None:
            with self.lock:
                self.running += count

        async def counted(work: Callable[[], T]) -> T:
            def until_done() -> T:
                try:
                    return work()
                finally:
                    add(-1)

            add(1)
            return await in_thread(until_done)

        return counted


async def all_given_back(budget: Budget) -> None:
    share = budget.share()
    async with asyncio.timeout(10), share.place(MEMORY), share.spare(99, 0) as spare:
        assert spare == CONNECTIONS - 1


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (content, remote):
        monkeypatch.setattr(module, "PART", 2 * PIECE)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("again", [False, True], ids=["once", "again and again"])
@pytest.mark.parametrize(
    ("deed", "steps", "sliced"),
    [
        (get, [], False),
        (get, [CUT, AWAY], False),
        (get, [SPOILED, Step(changes=BODY)], False),
        (get, [SLOW], True),
        (get, [SLOW, CUT, AWAY], True),
        (get_directory, [], False),
        (put, [], False),
        (put, [Step(cut=3 * PIECE, error=AWAY.error)], False),
        (put, [SPOILED], False),
        (put, ALWAYS_SPOILED, False),
    ],
)
def test_what_is_cancelled_at_any_step_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deed: Deed,
    steps: list[Step],
    *,
    sliced: bool,
    again: bool,
) -> None:
    if sliced:
        monkeypatch.setattr(download, "AFTER", 0.0)
        monkeypatch.setattr(download, "FAST", 1 << 60)
        monkeypatch.setattr(download, "SLICE", 2 * PIECE)
    at = 0
    while Trial(tmp_path, deed, steps, at, again).run():
        at += 1
    assert at > 5


TINY_PART = 1 << 16


@pytest.mark.parametrize(
    ("size", "least"), [(TINY_PART, 2), (3 * TINY_PART - 1, 15)], ids=["whole", "in parts"]
)
async def test_what_is_cancelled_at_any_step_leaves_nothing_at_s3(
    s3: Server, monkeypatch: pytest.MonkeyPatch, size: int, least: int
) -> None:
    """The store takes such small parts, but not an end of them: that is refused."""
    shrink(monkeypatch, TINY_PART)
    body, at = os.urandom(size), 0
    entry = Entry(endpoint=f"http://{s3.address}", key="tester", secret=Secret(USERS["tester"]))
    async with generic(entry) as storage:
        assert isinstance(storage, RemoteStorage)
        while await cancelled_at_s3(storage, body, at):
            at += 1
    assert at >= least


async def cancelled_at_s3(storage: RemoteStorage, body: bytes, at: int) -> bool:
    url, steps = f"s3://tests/{new_id()}", Steps(at)
    with suppress(Invalid):
        await cancelled_at(steps, lambda: storage.put(BytesIO(body), url))
    assert await storage.sweep(url, timedelta(0)) == 0
    with suppress(NotFound):
        assert (await storage.stat(url)).size_bytes == len(body)
    return steps.reached
