"""Files at servers that speak SFTP, one try a call."""

import asyncio
import posixpath
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR

from funnel.core.error import Exists, FunnelError, Invalid, NotFound
from funnel.ports import Content, Object, Reading, Store
from funnel.storage.address import Address, address
from funnel.storage.pool import Pool, harmless
from funnel.storage.sftp.session import Session, logged_in, told
from funnel.storage.sftp.settings import Login, Settings, login
from funnel.storage.unfinished import beside, is_unfinished, taken_back

T = TypeVar("T")

AHEAD: Final = 8
"""Packets on their way beside the one in hand."""
LEAST: Final = 32 << 10
"""Bytes of a packet that every server takes."""
LISTING: Final = 300.0
"""Seconds until a directory must be listed."""
CLOSING: Final = 30.0
"""Seconds until a file must be closed."""
HOME: Final = "/~/"


class SFTPStore:
    """Answers `ports.Store`. Links are followed where a URL leads to one, and left out of lists."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seconds = settings.timeout.total_seconds()
        self.pool = Pool[Login, Session](
            lambda login: logged_in(settings, login), settings.max_connections
        )

    def takes(self, url: str) -> bool:
        return url.startswith("sftp://")

    async def stat(self, url: str) -> Object:
        at = address(url)
        async with self._session(at) as files, told(at.url, "look at it", self._seconds):
            found = await files.stat(_path(at))
        if found.type == FILEXFER_TYPE_DIRECTORY:
            return Object(url, 0)
        return _object(at, found)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        at = address(url)
        waiting = [""]
        while waiting:
            above = waiting.pop()
            for name, found in await self._entries(at, above):
                if found.type == FILEXFER_TYPE_DIRECTORY:
                    waiting.append(f"{name}/")
                elif found.type == FILEXFER_TYPE_REGULAR:
                    yield Object(
                        f"{url}{name}", found.size or 0, name, _tag(found), _modified(found)
                    )

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        at = address(url)
        async with self._session(at) as files:
            async with told(at.url, "open it", self._seconds):
                file = await files.open(_path(at), "rb", encoding=None, block_size=0)
            async with _closing(file, at):
                async with told(at.url, "look at it", self._seconds):
                    found = await file.stat()
                if found.type == FILEXFER_TYPE_DIRECTORY:
                    raise NotFound(f"{at.url} is a directory, and no file")
                one = _object(at, found)
                last = min(end or one.size_bytes, one.size_bytes)
                size = max(LEAST, files.limits.max_read_len)
                async with aclosing(_pieces(_File(file, at, size), start, last)) as pieces:
                    yield Reading(found=one, start=start, pieces=pieces)

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        at = address(url)
        if at.path.endswith("/"):
            raise Invalid(f"{at.url} names a directory; files are stored one by one")
        path = _path(at)
        unfinished = beside(at.path).encode(errors="surrogateescape")
        if at.path.startswith(HOME):
            unfinished = unfinished.removeprefix(HOME.encode())

        async def remove() -> None:
            async with self._session(at) as files, told(at.url, "remove what was begun"):
                await files.remove(unfinished)

        async with taken_back(at.url, remove), self._session(at) as files:
            async with told(at.url, "store it", self._seconds):
                file = await _created(files, unfinished)
            async with _closing(file, at):
                size = max(LEAST, files.limits.max_write_len)
                stored = await _filled(_File(file, at, size), content)
                async with told(at.url, "store it"):
                    await _synced(file)
            async with told(at.url, "store it", self._seconds):
                await (_renamed if overwrite else _renamed_to_new)(files, unfinished, path)
        return Object(url, stored)

    async def _entries(self, at: Address, above: str) -> list[tuple[str, asyncssh.SFTPAttrs]]:
        """Of one directory, but for what is unfinished."""
        path = _path(at) + above.encode(errors="surrogateescape")
        found = list[tuple[str, asyncssh.SFTPAttrs]]()
        shown = f"{at.url}{above}"
        async with self._session(at) as files, told(shown, "list it", LISTING):
            for one in await files.readdir(path or b"."):
                name = _text(one.filename)
                if "/" in name or not name:
                    raise FunnelError(f"{shown} has a name that is a path: {name!r}")
                if name not in {".", ".."} and not is_unfinished(name):
                    found.append((f"{above}{name}", one.attrs))
        return found

    @asynccontextmanager
    async def _session(self, at: Address) -> AsyncGenerator[asyncssh.SFTPClient]:
        async with self.pool.lease(login(self._settings, at)) as session:
            yield session.files


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Store]:
    store = SFTPStore(settings)
    try:
        yield store
    finally:
        await store.pool.close()


@asynccontextmanager
async def _closing(file: asyncssh.SFTPClientFile, at: Address) -> AsyncGenerator[None]:
    """After what is not harmless, the connection is closed with all its files."""
    try:
        yield
    except FunnelError as error:
        if harmless(error):
            await _close(file, at)
        raise
    await _close(file, at)


async def _close(file: asyncssh.SFTPClientFile, at: Address) -> None:
    async with told(at.url, "close it", CLOSING):
        await file.close()


class _File:
    """An open file, of which `size` bytes at most go into one packet."""

    def __init__(self, file: asyncssh.SFTPClientFile, at: Address, size: int) -> None:
        self._file = file
        self._at = at
        self.size = size

    async def read(self, start: int, end: int) -> bytes:
        """Fewer only at the end of the file: a server may answer with less than it is asked for."""
        found = b""
        async with told(self._at.url, "read it"):
            while start + len(found) < end:
                piece: bytes = await self._file.read(end - start - len(found), start + len(found))
                if not piece:
                    break
                found += piece
        return found

    async def write(self, piece: bytes, start: int) -> None:
        async with told(self._at.url, "store it"):
            await self._file.write(piece, start)


async def _pieces(file: _File, start: int, end: int) -> AsyncGenerator[bytes]:
    reading = deque[asyncio.Future[bytes]]()
    async with _none_left(reading):
        while start < end or reading:
            while start < end and len(reading) <= AHEAD:
                stop = min(start + file.size, end)
                reading.append(asyncio.ensure_future(file.read(start, stop)))
                start = stop
            if piece := await reading.popleft():
                yield piece
            else:
                return


async def _created(files: asyncssh.SFTPClient, path: bytes) -> asyncssh.SFTPClientFile:
    try:
        return await files.open(path, "xb", encoding=None, block_size=0)
    except asyncssh.SFTPNoSuchFile:
        await files.makedirs(posixpath.dirname(path), exist_ok=True)
        return await files.open(path, "xb", encoding=None, block_size=0)


async def _filled(file: _File, content: Content) -> int:
    size = 0
    writing = deque[asyncio.Future[None]]()
    async with _none_left(writing):
        async for piece in content.pieces(file.size):
            if len(writing) > AHEAD:
                await writing.popleft()
            writing.append(asyncio.ensure_future(file.write(piece, size)))
            size += len(piece)
        while writing:
            await writing.popleft()
    return size


async def _synced(file: asyncssh.SFTPClientFile) -> None:
    """On the disk of the server, where it offers that."""
    with suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


async def _renamed(files: asyncssh.SFTPClient, path: bytes, to: bytes) -> None:
    try:
        await files.posix_rename(path, to)
    except asyncssh.SFTPFailure as error:
        if await files.isdir(to):
            raise Invalid("a directory has this name") from error
        raise


async def _renamed_to_new(files: asyncssh.SFTPClient, path: bytes, to: bytes) -> None:
    """As the protocol has it from the beginning: nothing is replaced."""
    try:
        await files.rename(path, to)
    except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists) as error:
        if await files.lexists(to):
            raise Exists("there is something of this name already") from error
        raise


@asynccontextmanager
async def _none_left(under_way: deque[asyncio.Future[T]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _path(at: Address) -> bytes:
    """Below the home of the user where it begins with a tilde, as of `scp`."""
    path = at.path.removeprefix(HOME) if at.path.startswith(HOME) else at.path
    return path.encode(errors="surrogateescape")


def _text(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode(errors="surrogateescape")


def _object(at: Address, found: asyncssh.SFTPAttrs) -> Object:
    if found.type != FILEXFER_TYPE_REGULAR:
        raise Invalid(f"{at.url} is neither a file nor a directory")
    return Object(at.url, found.size or 0, etag=_tag(found), last_modified=_modified(found))


def _tag(found: asyncssh.SFTPAttrs) -> str:
    """A weak one, of what is known of a file: its time has whole seconds."""
    return f'W/"{found.mtime or 0:x}-{found.size or 0:x}"'


def _modified(found: asyncssh.SFTPAttrs) -> datetime | None:
    return datetime.fromtimestamp(found.mtime, UTC) if found.mtime else None
