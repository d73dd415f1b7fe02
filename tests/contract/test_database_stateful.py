"""Whatever is done to the database, in any order, it keeps what a few dictionaries keep."""

import asyncio
import math
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from keeping import Errand, Kept, Model

from funnel.core.error import FunnelError
from funnel.core.event import (
    Batch,
    Change,
    ExecutorExited,
    ExecutorStarted,
    MetadataAdded,
    Moment,
    Recorded,
    Requeued,
    TimeTold,
)
from funnel.core.query import Query, Scope, View
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.core.work import Claim, Done, Submit
from funnel.database import clock
from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.ports import Database
from funnel.testing.build import (
    EPOCH,
    EVERYONE,
    MINUTE,
    NOTHING,
    accepted,
    created,
    feed,
    logged,
    moved,
    printed,
)
from funnel.testing.databases.lists import listed

FEW = 100
RUNS = int(os.environ.get("FUNNEL_TEST_RUNS", str(FEW)))
"""How often a machine begins anew; `FUNNEL_TEST_RUNS=20000` looks further, for a night."""
DAY = timedelta(days=1)
MEMORY = Path("/dev/shm")

OWNERS = ("ann", "bob", "")
NAMES = ("", "a", "ab", "b%", "é")
KEYS, VALUES = ("x", "y'"), ("", "1", '"')

GONE = 5
PLACES = st.sampled_from(range(GONE + 1))
owners = st.sampled_from(OWNERS)
names = st.sampled_from(NAMES)
tags = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
states = st.sampled_from(
    (State.COMPLETE, State.CANCELED, State.RUNNING, State.INITIALIZING, State.QUEUED)
)
Make = Callable[[TaskId], Change]


def move(state: State) -> Make:
    return lambda task_id: moved(task_id, state)


MAKES: tuple[Make, ...] = (
    lambda task_id: logged(task_id, "x"),
    lambda task_id: printed(task_id, "y"),
    accepted,
    lambda task_id: Requeued(task_id, EPOCH, "again"),
    lambda task_id: ExecutorStarted(task_id, EPOCH, 0),
    lambda task_id: ExecutorExited(task_id, EPOCH, 0, 1),
    lambda task_id: TimeTold(task_id, EPOCH, Moment.TASK_ENDED),
    lambda task_id: MetadataAdded(task_id, EPOCH, {"a": "b"}),
)
changes = st.sampled_from(MAKES) | states.map(move)
queries = st.builds(
    Query,
    scope=st.builds(Scope, st.none() | owners),
    state=st.none() | states,
    name_prefix=names,
    tags=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=2).map(tuple),
    page_size=st.integers(1, 5),
)


def outcome(call: Callable[[], object]) -> object:
    """The answer, or the kind of the refusal."""
    try:
        return call()
    except FunnelError as refusal:
        return type(refusal)


class DatabaseMachine(RuleBasedStateMachine):
    database: Database

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.gone = TaskId("nobody")
        self.claims: list[tuple[Claim, Errand]] = []
        self.mark = 0
        self.began = time.monotonic()
        self.home = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        self.runner = asyncio.Runner()
        self.open()

    def open(self) -> None:
        passed = timedelta(seconds=time.monotonic() - self.began)
        now = EPOCH + self.model.day * DAY + passed
        host = Host(now=lambda: now, deployment="test")
        at = Settings(path=f"{self.home}/funnel.db", min_free=0)
        self.stack = AsyncExitStack()
        # Days pass here without a word, and are to be believed.
        believing = self.stack.enter_context(pytest.MonkeyPatch.context())
        believing.setattr(clock, "DAY", math.inf)
        self.database = self.runner.run(self.stack.enter_async_context(PLUGIN.make(at, host)))

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.home)

    def same(self, real: Awaitable[object], wanted: Callable[[], object]) -> None:
        """Both answer alike, or refuse alike."""

        async def asked() -> object:
            return await real

        assert outcome(lambda: self.runner.run(asked())) == outcome(wanted)

    @rule(owner=owners, name=names, tags=tags, key=st.sampled_from(("", "", "", "k")))
    def create(self, owner: str, name: str, tags: dict[str, str], key: str) -> None:
        new = created(owner=owner, name=name, tags=tags)
        self.same(self.database.create(new, key=key), lambda: self.model.create(new, key))

    @precondition(lambda self: self.model.tasks)
    @rule(
        which=PLACES,
        kinds=st.lists(changes, min_size=1, max_size=3),
        fence=st.sampled_from((None, 0, None, 0, None, 0, -1, 1)),
        ahead=st.sampled_from((None, 0, None, 0, -1, 1)),
    )
    def append(
        self,
        which: int,
        kinds: list[Make],
        fence: int | None,
        ahead: int | None,
    ) -> None:
        task_id = self.one(which)
        kept = self.model.tasks.get(task_id)
        now, heard = (kept.progress.fence, kept.progress.heard) if kept else (1, 0)
        batch = Batch(
            task_id=task_id,
            events=tuple(kind(task_id) for kind in kinds),
            fence=None if fence is None else now + fence,
            first=0 if ahead is None else max(heard + 1 + ahead, 0),
        )
        self.same(self.database.append(batch), lambda: self.model.append(batch))

    @precondition(lambda self: self.model.tasks)
    @rule(which=PLACES)
    def delete(self, which: int) -> None:
        task_id = self.one(which)
        self.same(self.database.delete(task_id), lambda: self.model.delete(task_id))
        if task_id not in self.model.tasks:
            self.gone = task_id

    @rule(days=st.integers(0, 2))
    def delete_ended(self, days: int) -> None:
        real = self.database.delete_ended(days * DAY + DAY / 2, limit=1000)
        self.same(real, lambda: self.model.delete_ended(days))

    @rule(days=st.integers(0, 2))
    def reopen(self, days: int) -> None:
        self.runner.run(self.stack.aclose())
        self.model.day += days
        for errand in self.model.errands:
            errand.held = False
        self.claims.clear()
        self.open()

    @rule(limit=st.integers(1, 4), lease=st.sampled_from((NOTHING, MINUTE)))
    def claim(self, limit: int, lease: timedelta) -> None:
        free = [one for one in self.model.errands if not one.held][:limit]
        claims = self.runner.run(self.claimed(limit, lease))
        assert [claim.work for claim in claims] == [one.work for one in free]
        for claim, errand in zip(claims, free, strict=True):
            kept = self.model.tasks.get(claim.work.task_id)
            assert claim.progress == (kept.progress if kept else None)
            if isinstance(claim.work, Submit):
                assert claim.spec == (kept.created.spec if kept else None)
            errand.held = lease > NOTHING
            self.claims = [pair for pair in self.claims if pair[1] is not errand]
            self.claims.append((claim, errand))

    async def claimed(self, limit: int, lease: timedelta) -> list[Claim]:
        return [*await self.database.claim("local", limit=limit, lease=lease)]

    @precondition(lambda self: self.claims)
    @rule(which=PLACES, heard=st.booleans(), again=st.booleans())
    def settle(self, which: int, *, heard: bool, again: bool) -> None:
        claim, errand = self.claims[which % len(self.claims)]
        task_id = claim.work.task_id
        facts = Batch(task_id=task_id, events=(accepted(task_id),)) if heard else None
        done = Done(claim, facts)
        wanted = outcome(lambda: facts and self.model.append(facts))
        (refusal,) = self.runner.run(self.settled(done))
        if refusal:
            assert type(refusal) is wanted
            return
        assert not isinstance(wanted, type)
        self.model.errands.remove(errand)
        self.claims.remove((claim, errand))
        if again:
            assert isinstance(self.runner.run(self.settled(done))[0], FunnelError)

    async def settled(self, done: Done) -> list[FunnelError | None]:
        return [*await self.database.settle([done])]

    @precondition(lambda self: self.claims)
    @rule(which=PLACES)
    def release(self, which: int) -> None:
        claim, errand = self.claims.pop(which % len(self.claims))
        self.runner.run(self.released(claim))
        self.model.errands.remove(errand)
        errand.held = False
        self.model.errands.append(errand)

    async def released(self, claim: Claim) -> None:
        await self.database.release(claim, after=NOTHING)

    @rule(query=queries)
    def list_tasks(self, query: Query) -> None:
        assert self.runner.run(listed(self.database, query)) == [*self.model.listed(query)]

    @rule(limit=st.integers(1, 6), marks=st.booleans())
    def read_feed(self, limit: int, *, marks: bool) -> None:
        wanted = [told for told in self.model.feed if told.position > self.mark][:limit]
        assert self.runner.run(self.unread(limit)) == wanted
        if wanted and marks:
            self.mark = wanted[-1].position
            self.runner.run(self.marked(self.mark))

    async def unread(self, limit: int) -> list[Recorded]:
        after = await self.database.mark("r") or 0
        return [*await feed(self.database, after=after, limit=limit)]

    async def marked(self, position: int) -> None:
        await self.database.mark_read("r", position)

    def one(self, which: int) -> TaskId:
        """A task that is there, the newest by 0, or now and then one that is not."""
        there = [*self.model.tasks]
        return there[-1 - which % len(there)] if which < GONE else self.gone

    @invariant()
    def the_newest_tasks_are_as_they_should_be(self) -> None:
        for task_id in [*self.model.tasks][-2:]:
            self.runner.run(self.compare(task_id, self.model.tasks[task_id]))

    async def compare(self, task_id: TaskId, kept: Kept) -> None:
        assert await self.database.progress(task_id) == kept.progress
        task = await self.database.get(task_id, View.BASIC, EVERYONE)
        assert (task.state, task.logs) == (kept.progress.state, kept.progress.logs)
        assert (task.name, task.tags) == (kept.created.spec.name, kept.created.spec.tags)


TestDatabase = pytest.mark.timeout(240)(DatabaseMachine.TestCase)
TestDatabase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=50,
    derandomize=RUNS == FEW,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
