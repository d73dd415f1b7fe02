"""Files at servers that speak FTP, one try a call."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aioftp.errors import StatusCodeError

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.path import parts
from funnel.core.reach import Reach
from funnel.net.guard import Guard
from funnel.ports import Content, Object, Reading, Store
from funnel.storage.address import Address, address
from funnel.storage.ftp.control import Carrier, Control, logged_in, raw, told
from funnel.storage.ftp.listing import Entry, lines, moment, of_facts, of_line
from funnel.storage.ftp.settings import Login, Settings, login
from funnel.storage.pool import Pool
from funnel.storage.unfinished import beside, is_unfinished, taken_back

PIECE: Final = 1 << 20
DEEPEST: Final = 100
"""Directories in each other; links may lead in circles."""


class FTPStore:
    """Answers `ports.Store`."""

    def __init__(self, settings: Settings, guard: Guard, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self.pool = Pool[Login, Control](
            lambda login: logged_in(settings, guard, tls, login), settings.max_connections
        )

    def takes(self, url: str) -> bool:
        return url.startswith(("ftp://", "ftps://"))

    async def stat(self, url: str) -> Object:
        at = address(url)
        async with self._control(at) as control:
            found = await _entry(control, at)
        return Object(url, 0) if found.is_directory else _object(at, found)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        at = address(url)
        waiting, seen = [""], set[str]()
        while waiting:
            above = waiting.pop()
            for one in await self._entries(at, above):
                name = f"{above}{one.name}"
                if not one.is_directory:
                    yield Object(f"{url}{name}", one.size, name, _tag(one), one.modified)
                elif not one.unique or one.unique not in seen:
                    seen.add(one.unique)
                    waiting.append(f"{name}/")

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del end, etag
        at = address(url)
        async with self._control(at) as control:
            found = await _entry(control, at)
            if found.is_directory:
                raise NotFound(f"{at.url} is a directory, and no file")
            carrier = await _begun(control, at, f"RETR {raw(at.path)}", start)
            async with _carried(control, at, carrier):
                yield Reading(
                    found=_object(at, found),
                    start=carrier.start,
                    pieces=_pieces(carrier, at),
                    ranged=False,
                )

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        at = address(url)
        if at.path.endswith("/"):
            raise Invalid(f"{at.url} names a directory; files are stored one by one")
        if not overwrite:
            raise Invalid(f"{at.url}: FTP cannot store a file only where there is none")
        unfinished = beside(at.path)

        async def remove() -> None:
            async with self._control(at) as control:
                with told(at.url, "remove what was begun"):
                    await control.command(f"DELE {raw(unfinished)}", "2xx")

        async with taken_back(at.url, remove), self._control(at) as control:
            size = await _stored(control, at, unfinished, content)
            with told(at.url, "store it", Denied):
                await control.command(f"RNFR {raw(unfinished)}", "350")
                await control.command(f"RNTO {raw(at.path)}", "2xx")
        return Object(url, size)

    async def _entries(self, at: Address, above: str) -> list[Entry]:
        """Of one directory, but for what is unfinished."""
        shown, path = f"{at.url}{above}", f"{at.path}{above}"
        if len(parts(above)) > DEEPEST:
            raise FunnelError(f"{shown} is too deep; links may lead in a circle")
        found = list[Entry]()
        async with self._control(at) as control:
            by_facts = "MLST" in control.features or "MLSD" in control.features
            for line in lines(await _listed(control, at, path, by_facts=by_facts)):
                try:
                    one = of_facts(line) if by_facts else of_line(line)
                except ValueError:
                    raise FunnelError(f"{shown} is listed in an unknown form: {line!r}") from None
                if one and "/" in one.name:
                    raise FunnelError(f"{shown} has a name that is a path: {one.name!r}")
                if one and one.name not in {"", ".", ".."} and not is_unfinished(one.name):
                    found.append(one)
        return found

    @asynccontextmanager
    async def _control(self, at: Address) -> AsyncGenerator[Control]:
        async with self.pool.lease(login(self._settings, at)) as control:
            yield control


@asynccontextmanager
async def opened(given: tuple[Settings, Reach]) -> AsyncGenerator[Store]:
    settings, reach = given
    try:
        tls = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_file or None)
    except OSError as error:
        raise Invalid(f"FTPStorage.CAFile: cannot use {settings.ca_file}: {error}") from error
    store = FTPStore(settings, Guard(reach), tls)
    try:
        yield store
    finally:
        await store.pool.close()


async def _entry(control: Control, at: Address) -> Entry:
    path = raw(at.path.rstrip("/"))
    with told(at.url, "look at it"):
        if "MLST" in control.features:
            _, answer = await control.command(f"MLST {path}", "250")
            found = next(filter(None, (of_facts(one.strip()) for one in answer[1:-1])), None)
        else:
            found = await _measured(control, path)
    if found is None:
        raise Invalid(f"{at.url} is neither a file nor a directory")
    if at.path.endswith("/") and not found.is_directory:
        raise NotFound(f"{at.url} is a file, and no directory")
    return found


async def _measured(control: Control, path: str) -> Entry:
    """By servers that tell no facts."""
    try:
        _, size = await control.command(f"SIZE {path}", "213")
    except StatusCodeError as error:
        if await _is_directory(control, path):
            return Entry(name=path, is_directory=True)
        raise error from None
    code, when = await control.command(f"MDTM {path}", ("213", "5xx"))
    modified = moment(when[-1].strip()) if code == "213" else None
    return Entry(name=path, size=int(size[-1]), modified=modified)


async def _listed(control: Control, at: Address, path: str, *, by_facts: bool) -> bytes:
    command = f"MLSD {raw(path)}"
    if not by_facts:
        # What is given to LIST may be taken for a pattern.
        with told(at.url, "list it"):
            await control.command(f"CWD {raw(path)}", "2xx")
        command = "LIST -a"
    carrier = await _begun(control, at, command)
    async with _carried(control, at, carrier):
        return b"".join([piece async for piece in _pieces(carrier, at)])


async def _stored(control: Control, at: Address, path: str, content: Content) -> int:
    carrier = await _begun_to_store(control, at, f"STOR {raw(path)}")
    async with _carried(control, at, carrier):
        size = await _filled(carrier, at, content)
    with told(at.url, "look at what was stored"):
        _, answer = await control.command(f"SIZE {raw(path)}", "213")
    if int(answer[-1]) != size:
        raise Unavailable(f"{at.url}: {size} bytes were sent, and {answer[-1]} are there")
    return size


async def _begun(control: Control, at: Address, command: str, start: int = 0) -> Carrier:
    with told(at.url, "read it"):
        return await control.begin(command, start)


async def _begun_to_store(control: Control, at: Address, command: str) -> Carrier:
    """The directory is made where there is none."""
    with told(at.url, "store it", Denied):
        with suppress(StatusCodeError):
            return await control.begin(command)
        await _make_directories(control, at)
        return await control.begin(command)


@asynccontextmanager
async def _carried(control: Control, at: Address, carrier: Carrier) -> AsyncGenerator[None]:
    try:
        yield
        with told(at.url, "bring it to an end"):
            await control.finish(carrier)
    finally:
        carrier.abort()


async def _filled(carrier: Carrier, at: Address, content: Content) -> int:
    size = 0
    async for piece in content.pieces(PIECE):
        with told(at.url, "store it"):
            carrier.writer.write(piece)
            await carrier.writer.drain()
        size += len(piece)
    carrier.written = True
    return size


async def _make_directories(control: Control, at: Address) -> None:
    """Those that are missing; others may make them at the same time."""
    path = ""
    for part in parts(at.path)[:-1]:
        path = f"{path}/{raw(part)}"
        if await _is_directory(control, path):
            continue
        try:
            await control.command(f"MKD {path}", "2xx")
        except StatusCodeError:
            if not await _is_directory(control, path):
                raise


async def _is_directory(control: Control, path: str) -> bool:
    """Of a path as it is sent."""
    code, _ = await control.command(f"CWD {path}", ("2xx", "5xx"))
    return code.startswith("2")


async def _pieces(carrier: Carrier, at: Address) -> AsyncIterator[bytes]:
    while True:
        with told(at.url, "read it"):
            piece = await carrier.reader.read(PIECE)
        if not piece:
            return
        yield piece


def _object(at: Address, found: Entry) -> Object:
    return Object(at.url, found.size, etag=_tag(found), last_modified=found.modified)


def _tag(found: Entry) -> str:
    """As web servers make it of what they know of a file; empty where that is not enough."""
    return f"{int(found.modified.timestamp()):x}-{found.size:x}" if found.modified else ""
