"""Servers that have directories, and files in them: what is the same for all protocols."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from msgspec.structs import replace

from funnel.core.error import FunnelError, Invalid, NotFound, Unavailable
from funnel.core.path import parts
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.ports import Clock, Content, Object, Reading
from funnel.storage.address import Address, address
from funnel.storage.content import PART
from funnel.storage.pool import Connection, Place, Pool
from funnel.storage.unfinished import beside, is_unfinished, mark_of, taken_back

log = logging.getLogger(__name__)

DEEPEST: Final = 100
"""Directories in each other; links may lead in circles."""
LISTING: Final = 300.0
"""Seconds until one directory must be listed."""
STALE: Final = timedelta(days=1)
"""Age of what no upload of today can have begun."""

K = TypeVar("K", bound=Hashable)


class Entry(Value, kw_only=True):
    """
    A file or directory.

    `size` is -1 where the server does not say it; `unique` tells one from others where it does.
    """

    name: str
    is_directory: bool = False
    size: int = 0
    modified: datetime | None = None
    unique: str = ""

    @property
    def tag(self) -> str:
        """A weak one: times have whole seconds."""
        return f'W/"{int(self.modified.timestamp()):x}-{self.size:x}"' if self.modified else ""

    def described(self, url: str, name: str = "") -> Object:
        return Object(url, self.size, name, self.tag, self.modified)


class Session(Connection, Protocol):
    """A connection on which somebody is logged in. Errors are those of `ports.Store`."""

    async def stat(self, at: Address) -> Entry: ...

    async def entries(self, at: Address) -> Sequence[Entry]:
        """Of one directory; what is neither a file nor a directory is left out."""
        ...

    def read(
        self, at: Address, start: int, end: int | None
    ) -> AbstractAsyncContextManager[Reading]: ...

    async def store(self, at: Address, content: Content) -> int:
        """As a new file, in directories that are made where they are missing; its size."""
        ...

    async def rename(self, at: Address, to: Address, *, overwrite: bool) -> None:
        """In place of what has that name, or raises `Exists`."""
        ...

    async def remove(self, at: Address) -> None: ...


S = TypeVar("S", bound=Session)


class FileServerStore(Generic[K, S]):
    """
    Answers `ports.Store` and `ports.Sweeper`, over at most so many connections that `connect`
    makes.

    It is `conditional` where the protocol can rename without replacing anything.
    """

    def __init__(
        self,
        schemes: tuple[str, ...],
        login: Callable[[Address], K],
        connect: Callable[[K], Awaitable[S]],
        now: Clock,
        most: int,
        *,
        conditional: bool,
    ) -> None:
        self._schemes = schemes
        self._login = login
        self._now = now
        self._conditional = conditional
        self.pool = Pool[K, S](connect, most)

    def takes(self, url: str) -> bool:
        return url.startswith(self._schemes)

    async def stat(self, url: str) -> Object:
        at = address(url)
        found = await self._stat(at)
        if found.is_directory:
            return Object(url, 0)
        if at.path.endswith("/"):
            raise NotFound(f"{at.url} is a file, and no directory")
        return found.described(url)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        async for name, one in self._below(address(url)):
            if not is_unfinished(one.name):
                yield one.described(f"{url}{name}", name)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        at = address(url)
        async with self._leased(at) as session, session.read(at, start, end) as reading:
            yield reading

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        at = address(url)
        if at.path.endswith("/"):
            raise Invalid(f"{at.url} names a directory; files are stored one by one")
        if not (overwrite or self._conditional):
            raise Invalid(f"{at.url}: {at.scheme} cannot store a file only where there is none")
        if not 0 <= content.size <= 2 * PART:
            await self._clear(url)
        unfinished = replace(at, path=beside(at.path))
        begun = list[Address]()
        async with self.pool.place(self._login(at)) as connection:

            async def remove() -> None:
                for one in begun:
                    async with _lent(connection, at) as session:
                        await session.remove(one)

            async with taken_back(at.url, remove), _lent(connection, at) as session:
                begun.append(unfinished)
                size = await session.store(unfinished, content)
                await session.rename(unfinished, at, overwrite=overwrite)
        return Object(url, size)

    async def sweep(self, url: str, age: timedelta) -> int:
        """What has no time that can be known is only as old as nothing."""
        at, count, before = address(url), 0, self._now() - age
        async for file, one in self._unfinished(at):
            modified = one.modified or (await self._stat(file)).modified
            if not age or (modified and modified <= before):
                count += await self._removed(file)
        return count

    async def _unfinished(self, at: Address) -> AsyncIterator[tuple[Address, Entry]]:
        """Those to this name; to all names below, for one that ends in a slash."""
        if at.path.endswith("/"):
            async for name, one in self._below(at):
                if is_unfinished(one.name):
                    yield _in(at, name), one
            return
        directory, mark = _above(at), mark_of(at.path)
        for one in await self._entries(directory):
            if not one.is_directory and is_unfinished(one.name, mark):
                yield _in(directory, one.name), one

    @asynccontextmanager
    async def _leased(self, at: Address) -> AsyncGenerator[S]:
        async with (
            self.pool.place(self._login(at)) as connection,
            _lent(connection, at) as session,
        ):
            yield session

    async def _stat(self, at: Address) -> Entry:
        async with self._leased(at) as session:
            return await session.stat(at)

    async def _removed(self, at: Address) -> bool:
        """By us; another one may have been faster."""
        try:
            async with self._leased(at) as session:
                await session.remove(at)
        except NotFound:
            return False
        return True

    async def _clear(self, url: str) -> None:
        """What an earlier upload of ours to this name left; not everybody may look for it."""
        try:
            count = await self.sweep(url, STALE)
        except FunnelError as error:
            log.debug("%s", error)
        else:
            if count:
                log.info("removed what %d broken uploads to %s left", count, address(url).url)

    async def _below(self, at: Address) -> AsyncIterator[tuple[str, Entry]]:
        """All files, those that are unfinished too, with their paths from there on."""
        waiting, seen = [""], set[str]()
        while waiting:
            above = waiting.pop()
            if len(parts(above)) > DEEPEST:
                raise FunnelError(f"{at.url}{above} is too deep; links may lead in a circle")
            for one in await self._entries(_in(at, above)):
                if not one.is_directory:
                    yield f"{above}{one.name}", one
                elif not one.unique or one.unique not in seen:
                    seen.add(one.unique)
                    waiting.append(f"{above}{one.name}/")

    async def _entries(self, at: Address) -> list[Entry]:
        async with self._leased(at) as session:
            try:
                async with asyncio.timeout(LISTING):
                    found = await session.entries(at)
            except TimeoutError as error:
                raise Unavailable(f"{at.url} was not listed within {LISTING:g} s") from error
        for one in found:
            if "/" in one.name:
                raise FunnelError(f"{at.url} has a name that is a path: {one.name!r}")
        return [one for one in found if one.name not in {"", ".", ".."}]


@asynccontextmanager
async def _lent(connection: Place[S], at: Address) -> AsyncGenerator[S]:
    """Who cannot log in is told for which file."""
    async with AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(connection())
        except FunnelError as error:
            raise type(error)(f"{at.url}: {error}") from error
        yield session


def _in(at: Address, name: str) -> Address:
    return replace(at, url=redacted(f"{at.url}{name}"), path=f"{at.path}{name}")


def _above(at: Address) -> Address:
    """The directory where it is."""
    return replace(at, url=f"{at.url.rpartition('/')[0]}/", path=f"{at.path.rpartition('/')[0]}/")
