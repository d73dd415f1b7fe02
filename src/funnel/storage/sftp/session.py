"""Files of a server that speaks SFTP, over a connection on which somebody is logged in."""

import asyncio
import posixpath
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.ports import Content, Reading
from funnel.storage.address import Address
from funnel.storage.fileserver import Entry
from funnel.storage.pool import harmless

T = TypeVar("T")

AHEAD: Final = 8
"""Packets on their way beside the one in hand."""
LEAST: Final = 32 << 10
"""Bytes of a packet that every server takes."""
MOST: Final = 1_000_000
"""Names in one directory."""
CLOSING: Final = 30.0
"""Seconds until a file must be closed."""
KINDS: Final = (FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR)
HOME: Final = "/~/"
MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
FULL: Final = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
REFUSED: Final = (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists)
"""What is said, among else, where a name is taken."""
FINAL: Final = (
    asyncssh.SFTPFailure,
    asyncssh.SFTPFileAlreadyExists,
    asyncssh.SFTPFileIsADirectory,
    asyncssh.SFTPInvalidFilename,
    asyncssh.SFTPLinkLoop,
    asyncssh.SFTPOpUnsupported,
)
"""What the same request would be told again."""


@asynccontextmanager
async def told(shown: str, what: str, seconds: float | None = None) -> AsyncGenerator[None]:
    """Errors of SFTP as our own; `what` is being done, and takes no longer than that."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except MISSING as error:
        raise NotFound(f"there is no {shown}") from error
    except asyncssh.SFTPPermissionDenied as error:
        raise Denied(
            f"{shown}: cannot {what}: {error.reason}; see what its user may do there"
        ) from error
    except FULL as error:
        raise NoSpace(f"{shown}: cannot {what}: {error.reason}") from error
    except FINAL as error:
        raise FunnelError(
            f"{shown}: cannot {what}: the server says {error.reason!r}; see its disk and its log"
        ) from error
    except (OSError, asyncssh.Error) as error:
        why = f"no answer in {seconds} s; see SFTPStorage.Timeout" if limit.expired() else error
        raise Unavailable(f"{shown}: cannot {what}: {why}") from error


class SFTPSession:
    """
    Answers `fileserver.Session`. Links are followed where a URL leads to one, and left out of
    lists. An answer comes within `seconds`.
    """

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        files: asyncssh.SFTPClient,
        seconds: float,
    ) -> None:
        self._connection = connection
        self._files = files
        self._seconds = seconds

    @property
    def usable(self) -> bool:
        return not self._connection.is_closed()

    def close(self) -> None:
        self._connection.abort()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    async def stat(self, at: Address) -> Entry:
        async with told(at.url, "look at it", self._seconds):
            return _entry(at, await self._files.stat(_path(at)))

    async def entries(self, at: Address) -> Sequence[Entry]:
        found = list[Entry]()
        names = self._files.scandir(_path(at) or b".")
        async with told(at.url, "list it"):
            try:
                async for one in names:
                    if one.attrs.type in KINDS:
                        found.append(_described(_text(one.filename), one.attrs))
                    if len(found) > MOST:
                        raise FunnelError(f"{at.url} has more than {MOST} names")
            finally:
                if isinstance(names, AsyncGenerator):
                    await names.aclose()
        return found

    @asynccontextmanager
    async def read(self, at: Address, start: int, end: int | None) -> AsyncGenerator[Reading]:
        # A server that opens a pipe waits for who writes into it.
        await self.stat(at)
        async with told(at.url, "open it", self._seconds):
            file = await self._files.open(_path(at), "rb", encoding=None, block_size=0)
        async with _closing(file, at):
            async with told(at.url, "look at it", self._seconds):
                found = _entry(at, await file.stat())
            if found.is_directory:
                raise NotFound(f"{at.url} is a directory, and no file")
            last = min(end or found.size, found.size)
            size = max(LEAST, self._files.limits.max_read_len)
            async with aclosing(_pieces(_File(file, at, size), start, last)) as pieces:
                yield Reading(found=found.described(at.url), start=start, pieces=pieces)

    async def store(self, at: Address, content: Content) -> int:
        async with told(at.url, "store it", self._seconds):
            file = await self._created(_path(at))
        async with _closing(file, at):
            size = max(LEAST, self._files.limits.max_write_len)
            stored = await _filled(_File(file, at, size), content)
            async with told(at.url, "store it"):
                await _synced(file)
                there = (await file.stat()).size
            if there != stored:
                raise Unavailable(f"{at.url}: {stored} bytes were sent, and {there} are there")
        return stored

    async def rename(self, at: Address, to: Address, *, overwrite: bool) -> None:
        rename = self._replaced if overwrite else self._files.rename
        async with told(to.url, "store it", self._seconds):
            try:
                await rename(_path(at), _path(to))
            except REFUSED as error:
                if overwrite and await self._files.isdir(_path(to)):
                    raise Invalid(f"{to.url}: a directory has this name") from error
                if not overwrite and await self._files.lexists(_path(to)):
                    raise Exists(f"{to.url}: there is something of this name already") from error
                raise

    async def remove(self, at: Address) -> None:
        async with told(at.url, "remove what was begun", self._seconds):
            await self._files.remove(_path(at))

    async def _created(self, path: bytes) -> asyncssh.SFTPClientFile:
        try:
            return await self._files.open(path, "xb", encoding=None, block_size=0)
        except asyncssh.SFTPNoSuchFile:
            await self._files.makedirs(posixpath.dirname(path), exist_ok=True)
            return await self._files.open(path, "xb", encoding=None, block_size=0)

    async def _replaced(self, path: bytes, to: bytes) -> None:
        """Where the server cannot replace a file, there is none for a moment."""
        try:
            await self._files.posix_rename(path, to)
        except asyncssh.SFTPOpUnsupported:
            try:
                await self._files.rename(path, to)
            except REFUSED:
                if not await self._files.isfile(to):
                    raise
                await self._files.remove(to)
                await self._files.rename(path, to)


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
    """What comes after a piece that is too short would be taken for what comes in its place."""
    reading = deque[asyncio.Future[bytes]]()
    come = start
    async with _none_left(reading):
        while come < end:
            while start < end and len(reading) <= AHEAD:
                stop = min(start + file.size, end)
                reading.append(asyncio.ensure_future(file.read(start, stop)))
                start = stop
            wanted = min(file.size, end - come)
            piece = await reading.popleft()
            come += len(piece)
            yield piece
            if len(piece) < wanted:
                return


async def _filled(file: _File, content: Content) -> int:
    size = 0
    writing = deque[asyncio.Future[None]]()
    async with _none_left(writing):
        async for piece in content.pieces(file.size):
            if len(writing) > AHEAD:
                await writing.popleft()
            writing.append(asyncio.ensure_future(file.write(bytes(piece), size)))
            size += len(piece)
        while writing:
            await writing.popleft()
    return size


async def _synced(file: asyncssh.SFTPClientFile) -> None:
    """On the disk of the server, where it offers that."""
    with suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


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


def _entry(at: Address, found: asyncssh.SFTPAttrs) -> Entry:
    if found.type not in KINDS:
        raise Invalid(f"{at.url} is neither a file nor a directory")
    return _described(at.path.rpartition("/")[2], found)


def _described(name: str, found: asyncssh.SFTPAttrs) -> Entry:
    return Entry(
        name=name,
        is_directory=found.type == FILEXFER_TYPE_DIRECTORY,
        size=found.size or 0,
        modified=datetime.fromtimestamp(found.mtime, UTC) if found.mtime else None,
    )
