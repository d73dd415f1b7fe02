"""A shelf against a model: what is there, in the order of its last use, and how much."""

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from funnel.storage.shelf import Lock, Shelf

SIZE = 100
KEYS = st.sampled_from("abcdef")
SIZES = st.integers(min_value=1, max_value=SIZE)


class Shelved(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name, "shelf")
        self.shelf = Shelf(self.folder, SIZE)
        self.shelf.open()
        self.kept: dict[str, int] = {}
        """Sizes, in the order of last use."""
        self.coming: dict[str, tuple[Lock, int, Path]] = {}

    def teardown(self) -> None:
        for lock, _, _ in self.coming.values():
            lock.release()
        self.home.cleanup()

    @rule(key=KEYS, size=SIZES)
    def reserve(self, key: str, size: int) -> None:
        lock = self.shelf.lock(key)
        assert (lock is None) == (key in self.coming)
        if lock is None:
            return
        part = self.shelf.reserve(key, size)
        assert (part is not None) == self._made_room(size)
        if part:
            self.coming[key] = lock, size, part
        else:
            lock.release()

    def _made_room(self, size: int) -> bool:
        coming = sum(one for _, one, _ in self.coming.values())
        while coming + sum(self.kept.values()) + size > SIZE:
            if not self.kept:
                return False
            del self.kept[next(iter(self.kept))]
        return True

    @precondition(lambda self: self.coming)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.coming)))
        lock, size, part = self.coming.pop(key)
        whole = part.with_name("whole")
        whole.write_bytes(key.encode() * size)
        whole.rename(part)
        self.shelf.keep(key)
        self.shelf.give_up(key)
        lock.release()
        self.kept.pop(key, None)
        self.kept[key] = size

    @precondition(lambda self: self.coming)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.coming)))
        lock, _, _ = self.coming.pop(key)
        self.shelf.give_up(key)
        lock.release()

    @precondition(lambda self: self.coming)
    @rule(data=st.data())
    def be_killed(self, data: st.DataObject) -> None:
        """What the kernel does for a process that is gone: its lock is free, its part is there."""
        key = data.draw(st.sampled_from(sorted(self.coming)))
        lock, _, part = self.coming.pop(key)
        part.with_name("unfinished").write_bytes(b"x")
        os.close(lock.fd)

    @rule(key=KEYS)
    def find(self, key: str) -> None:
        found = self.shelf.find(key)
        assert (found is not None) == (key in self.kept)
        if found is not None:
            with os.fdopen(found, "rb") as file:
                assert file.read() == key.encode() * self.kept[key]
            self.kept[key] = self.kept.pop(key)

    @invariant()
    def never_more_than_its_size(self) -> None:
        files = {one.stem: one.stat().st_size for one in self.folder.glob("*.file")}
        assert files == self.kept
        assert sum(files.values()) + sum(one for _, one, _ in self.coming.values()) <= SIZE


TestShelved = Shelved.TestCase
TestShelved.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
