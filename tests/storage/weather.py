"""Cases of bad weather: a fault, an operation and a moment, and what must come of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from faults import WRITING, Choose, Fault, Line, Must
from msgspec.structs import replace

from funnel.core.error import FunnelError, NotFound
from funnel.ports import Storage
from funnel.storage import download, remote
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.testing.build import new_id

CALM: Final = Patience(tries=20, first=0.01, longest=0.1, stall=30.0)
"""For what only prepares a case."""
QUICK: Final = Patience(tries=3, first=0.01, longest=0.05, stall=1.0, worth=100)
DEADLINE: Final = 60.0
"""Seconds of a case, on a machine that does much else."""
ABREAST: Final = 24
SMALL: Final = b"small but not nothing\n" * 50
LARGE: Final = bytes(range(251)) * 4_000
"""1 MB: read in slices, and stored in parts."""
PART: Final = 1 << 18
"""Bytes of a part, where the store takes as few as that."""
PARTED: Final = (
    *("content", "remote", "parts", "fileserver"),
    *("s3.store", "s3.upload", "google.store", "google.upload"),
    *("swift.store", "swift.upload"),
    *("azure.store", "azure.upload"),
)
"""Modules that know how large a part is."""
OLD: Final = b"what was there before"
NAMES: Final = [f"{number:02}" for number in range(12)]
MOST: Final = 4
HIDING: Final = frozenset(
    {"answer lost", "silent after", "empty answer", "nonsense", "other document", "sent twice"}
)
"""By HTTP nobody can take back what he does not know of; a later sweep does."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """
    A kind of store, whose real `server` has that address; `opened` is a storage for another, and
    `line` leads to it, with these `faults`.

    `url` is that of a name there. `left` says how many uploads to a URL have no end; `summed`,
    whether the store tells checksums of what it sends, and `checked`, whether what comes is the
    same as what was sent; `part`, what it takes for one.
    """

    server: str
    line: Callable[[str, Choose], Line]
    faults: Mapping[str, Fault]
    url: Callable[[str, str], str]
    opened: Callable[[str], AbstractAsyncContextManager[RemoteStorage]]
    summed: bool = True
    checked: bool = True
    has_directories: bool = True
    part: int = PART
    moments: Sequence[int] = range(MOST)
    """Requests of an operation at which a fault is tried by itself, counted from 0."""
    stall: float = 1.0
    """Seconds of silence that are taken for the end of a connection."""
    worth: int = 100
    """Bytes for which patience begins anew."""
    hiding: frozenset[str] = HIDING
    """Faults that may leave an upload, which a later sweep sees."""
    abreast: int = ABREAST
    """Cases at once that the server can do quickly."""
    by_verb: bool = False
    """Whether requests are of many kinds, each of which is tried: once, and whenever it comes."""
    login: frozenset[str] = frozenset()
    """Those that are the same for all operations, and tried with `stat` alone."""
    spared: frozenset[str] = frozenset()
    """Faults by which the server itself spoils what it stores, when they come always."""
    left: Callable[[RemoteStorage, str], Awaitable[int]] | None = None

    def content(self, op: str) -> bytes:
        if op == "put large":
            return (LARGE * (self.part // PART))[: 2 * self.part + 12_345]
        return LARGE if op == "get large" else SMALL

    @asynccontextmanager
    async def through(self, address: str, patience: Patience) -> AsyncGenerator[RemoteStorage]:
        async with self.opened(address) as storage:
            yield RemoteStorage(storage.store, patience, has_directories=self.has_directories)


@dataclass(frozen=True)
class Case:
    op: str
    name: str
    fault: Fault
    at: int | None
    """Which request; None is all of them but those that clean up."""
    verb: str = ""
    """Or all of this kind."""

    @property
    def title(self) -> str:
        when = f"always {self.verb}" if self.at is None else f"at {self.at} {self.verb}"
        return f"{self.op}: {self.name}, {when}".rstrip()

    def strike(self, number: int, asked: str) -> Any:
        if self.at is not None:
            hit = number == self.at
        else:
            verb = asked.split(maxsplit=1)[0]
            hit = verb == self.verb if self.verb else verb != "DELETE"
        return self.fault.strike if hit else None

    @property
    def must_succeed(self) -> bool:
        return self.at is not None and self.fault.once is Must.SUCCEED


def shrink(patch: pytest.MonkeyPatch, part: int = PART) -> None:
    """What takes minutes elsewhere; `part` is what stores take for a part of a file."""
    patch.setattr(remote, "UNSEEN", 2)
    patch.setattr(download, "AFTER", 0.001)
    patch.setattr(download, "FAST", 1 << 60)
    patch.setattr(download, "SLICE", 1 << 17)
    # What is imported while one of them is small would keep the small one for good.
    parted = [import_module(f"funnel.storage.{name}") for name in PARTED]
    for module in parted:
        patch.setattr(module, "PART", part)
    for name in ("parts", "google.upload"):
        patch.setattr(f"funnel.storage.{name}.TRIES", 2)
    for name in ("s3", "google", "swift"):
        patch.setattr(f"funnel.storage.{name}.upload.PATIENCE", 1.0)
    patch.setattr("funnel.storage.swift.upload.SETTLING", 1.0)


def cases(family: Family, op: str, asked: Sequence[str]) -> Iterator[Case]:
    """Each fault at each of the requests that an operation makes when all is well."""
    for name, fault in family.faults.items():
        unseen = (fault.summed and not family.summed) or (fault.checked and not family.checked)
        if unseen or (fault.ops and op not in fault.ops):
            continue
        if family.by_verb:
            verbs = [one.split(maxsplit=1)[0] for one in asked]
            yield from _of_each_verb(family, op, name, verbs)
            continue
        for at in family.moments:
            if at < len(asked):
                yield Case(op, name, fault, at)
        if fault.always and name not in family.spared:
            yield Case(op, name, fault, None)


def _of_each_verb(family: Family, op: str, name: str, asked: Sequence[str]) -> Iterator[Case]:
    fault = family.faults[name]
    for verb in dict.fromkeys(asked):
        told = op == "stat" or verb not in family.login
        if told and (not fault.verbs or verb in fault.verbs):
            yield Case(op, name, fault, asked.index(verb), verb)
            if fault.always:
                yield Case(op, name, fault, None, verb)


async def judged(family: Family, op: str, folder: Path) -> tuple[int, Mapping[str, str]]:
    """How many cases there were, and what went wrong by their names."""
    calm = Trial(family, Case(op, "none", Fault(strike=None), -1), folder / "calm")
    await calm.run()
    each = list(cases(family, op, calm.asked))
    room = asyncio.Semaphore(family.abreast)

    async def judge(number: int, case: Case) -> None:
        async with room, asyncio.timeout(DEADLINE):
            await Trial(family, case, folder / str(number)).run()

    ended = await asyncio.gather(*(judge(*one) for one in enumerate(each)), return_exceptions=True)
    wrong = {
        case.title: f"{type(error).__name__}: {error}"
        for case, error in zip(each, ended, strict=True)
        if error
    }
    return len(each), wrong


class Trial:
    """A case, with a line, a storage and objects of its own."""

    def __init__(self, family: Family, case: Case, folder: Path) -> None:
        self._family = family
        self._case = case
        self._folder = folder
        self._line = family.line(family.server, case.strike)
        self._name = new_id()
        self._failure: FunnelError | None = None
        self.asked: Sequence[str] = ()

    async def run(self) -> None:
        """Raises `AssertionError`."""
        await asyncio.to_thread(self._folder.mkdir)
        async with self._family.through(self._family.server, CALM) as direct:
            await self._prepare(direct)
            async with self._line.running():
                patience = replace(QUICK, stall=self._family.stall, worth=self._family.worth)
                async with self._family.through(self._line.address, patience) as storage:
                    await self._act(storage)
                    await self._let_go()
                self.asked = self._line.asked
            if self._case.op in WRITING:
                await self._look(direct)
        assert self._case.at != 0 or self._line.struck == 1
        assert not (self._failure and self._case.must_succeed), f"failed: {self._failure}"

    async def _prepare(self, direct: Storage) -> None:
        op, url = self._case.op, self._url(self._family.server)
        if op == "list":
            for name in NAMES:
                await direct.put(BytesIO(SMALL), f"{url}/{name}")
        elif op != "put large":
            await direct.put(BytesIO(OLD if op in WRITING else self._family.content(op)), url)

    async def _act(self, storage: Storage) -> None:
        op, url = self._case.op, self._url(self._line.address)
        try:
            if op == "list":
                assert [one.name for one in await storage.list_objects(url)] == NAMES
            elif op == "stat":
                assert (await storage.stat(url)).size_bytes == len(SMALL)
            elif op in WRITING:
                await storage.put(BytesIO(self._family.content(op)), url)
            else:
                await storage.get(url, self._folder / "got")
                assert self._got() == {"got": self._family.content(op)}, "other content has come"
        except FunnelError as error:
            self._failure = error
        if self._failure:
            assert url in str(self._failure), f"the error names no {url}: {self._failure}"
            assert self._got() == {}, f"{list(self._got())} was left by: {self._failure}"

    def _got(self) -> Mapping[str, bytes]:
        return {one.name: one.read_bytes() for one in self._folder.iterdir()}

    async def _let_go(self) -> None:
        """No connection waits for an answer that nobody reads."""
        for _ in range(500):
            if not self._line.busy:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self._line.busy} requests go on after the end")

    async def _look(self, direct: RemoteStorage) -> None:
        op, url, to = self._case.op, self._url(self._family.server), self._folder / "stored"
        wanted = [self._family.content(op)]
        if self._failure:
            wanted.append(b"" if op == "put large" else OLD)
        if self._failure and self._case.fault.checked:
            # Taken back, where the store has it before it says what it has.
            wanted.append(b"")
        with suppress(NotFound):
            await direct.get(url, to)
        found = await asyncio.to_thread(to.read_bytes) if to.exists() else b""
        assert found in wanted, f"{len(found)} bytes of something else are stored"
        if self._family.left:
            hidden = self._line.struck if self._case.name in self._family.hiding else 0
            left = await self._family.left(direct, url)
            assert left <= hidden, f"{left} uploads were left"

    def _url(self, address: str) -> str:
        return self._family.url(address, self._name)
