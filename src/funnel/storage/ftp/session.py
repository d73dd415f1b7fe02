"""Files of an FTP server, over a connection on which somebody is logged in."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aioftp.errors import StatusCodeError

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.path import parts
from funnel.ports import Content, Reading
from funnel.storage.address import Address
from funnel.storage.fileserver import Entry
from funnel.storage.ftp.control import Carrier, Control, raw, told
from funnel.storage.ftp.listing import UNKNOWN, lines, moment, of_facts, of_line
from funnel.storage.patience import Changed

PIECE: Final = 1 << 20
LONGEST: Final = 1 << 28
"""Bytes of the list of one directory."""
NOT_KNOWN: Final = ("500", "502")
"""What is said of commands that a server has not."""


class FTPSession:
    """Answers `fileserver.Session`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def usable(self) -> bool:
        return self._control.usable

    def close(self) -> None:
        self._control.close()

    async def wait_closed(self) -> None:
        await self._control.wait_closed()

    async def stat(self, at: Address) -> Entry:
        path = raw(at.path.rstrip("/"))
        with told(at.url, "look at it"):
            if "MLST" not in self._control.features:
                return await self._measured(path)
            _, answer = await self._control.ask(f"MLST {path}", "250")
            found = next(filter(None, (of_facts(one.strip()) for one in answer[1:-1])), None)
            if found and found.size == UNKNOWN and not found.is_directory:
                found = await self._measured(path)
            if found and await self._is_odd(path, found):
                found = None
        if found is None:
            raise Invalid(f"{at.url} is neither a file nor a directory")
        return found

    async def entries(self, at: Address) -> Sequence[Entry]:
        by_facts = bool({"MLST", "MLSD"} & self._control.features)
        found = list[Entry]()
        for line in lines(await self._listed(at, by_facts=by_facts)):
            try:
                one = of_facts(line) if by_facts else of_line(line)
            except ValueError:
                raise FunnelError(f"{at.url} is listed in an unknown form: {line!r}") from None
            found += [one] if one else []
        return found

    @asynccontextmanager
    async def read(self, at: Address, start: int, end: int | None) -> AsyncGenerator[Reading]:
        del end
        found = await self.stat(at)
        if found.is_directory:
            raise NotFound(f"{at.url} is a directory, and no file")
        with told(at.url, "read it"):
            carrier = await self._control.begin(f"RETR {raw(at.path)}", start)
        async with _carried(carrier):
            yield Reading(
                found=found.described(at.url),
                start=carrier.start,
                pieces=_pieces(carrier, at),
                ranged=False,
            )
            with told(at.url, "read it to its end"):
                ended = await self._control.finish_taken(carrier)
            there = carrier.start + carrier.taken
            if carrier.start and (not ended or there > found.size >= 0):
                raise Changed(
                    f"{at.url} is longer than the server says it is, or does not go on from byte"
                    f" {carrier.start}, as it was asked to"
                )

    async def store(self, at: Address, content: Content) -> int:
        with told(at.url, "store it", Denied):
            carrier = await self._begun(at)
        async with _carried(carrier):
            size = 0
            async for piece in content.pieces(PIECE):
                with told(at.url, "store it", Denied):
                    await self._control.sent(carrier, piece)
                size += len(piece)
            with told(at.url, "store it", Denied):
                await self._control.finish_sent(carrier)
        with told(at.url, "look at what was stored"):
            code, answer = await self._control.ask(f"SIZE {raw(at.path)}", "213", *NOT_KNOWN)
            there = int(answer[-1]) if code == "213" else size
        if there != size:
            raise Unavailable(f"{at.url}: {size} bytes were sent, and {there} are there")
        return size

    async def rename(self, at: Address, to: Address, *, overwrite: bool) -> None:
        del overwrite
        with told(to.url, "store it", Denied):
            await self._control.ask(f"RNFR {raw(at.path)}", "350")
            await self._control.ask(f"RNTO {raw(to.path)}", "2xx")

    async def remove(self, at: Address) -> None:
        with told(at.url, "remove what was begun"):
            await self._control.ask(f"DELE {raw(at.path)}", "2xx")

    async def _measured(self, path: str) -> Entry:
        """By servers that tell no facts."""
        try:
            _, size = await self._control.ask(f"SIZE {path}", "213")
        except StatusCodeError as error:
            if await self._is_directory(path):
                return Entry(name=path, is_directory=True)
            raise error from None
        code, when = await self._control.ask(f"MDTM {path}", "213", "5xx")
        modified = moment(when[-1].strip()) if code == "213" else None
        return Entry(name=path, size=int(size[-1]), modified=modified)

    async def _is_odd(self, path: str, found: Entry) -> bool:
        """Some servers say of a pipe that it is an empty file, and wait when they read it."""
        if found.is_directory or found.size:
            return False
        code, _ = await self._control.ask(f"SIZE {path}", "213", "5xx")
        return code == "550"

    async def _listed(self, at: Address, *, by_facts: bool) -> bytes:
        found = bytearray()
        with told(at.url, "list it"):
            if not by_facts:
                # What is given to LIST may be taken for a pattern.
                await self._control.ask(f"CWD {raw(at.path)}", "2xx")
            carrier = await self._control.begin(f"MLSD {raw(at.path)}" if by_facts else "LIST -a")
        async with _carried(carrier):
            async for piece in _pieces(carrier, at):
                found += piece
                if len(found) > LONGEST:
                    raise FunnelError(f"{at.url} has a list of more than {LONGEST} bytes")
            with told(at.url, "list it"):
                await self._control.finish_taken(carrier)
        return bytes(found)

    async def _begun(self, at: Address) -> Carrier:
        """The directory is made where there is none."""
        command = f"STOR {raw(at.path)}"
        try:
            return await self._control.begin(command)
        except StatusCodeError as error:
            if error.received_codes[-1] not in {"550", "553"}:
                raise
        await self._make_directories(at)
        return await self._control.begin(command)

    async def _make_directories(self, at: Address) -> None:
        """Those that are missing; others may make them at the same time."""
        path = ""
        for part in parts(at.path)[:-1]:
            path = f"{path}/{raw(part)}"
            if await self._is_directory(path):
                continue
            try:
                await self._control.ask(f"MKD {path}", "2xx")
            except StatusCodeError:
                if not await self._is_directory(path):
                    raise

    async def _is_directory(self, path: str) -> bool:
        """Of a path as it is sent."""
        code, _ = await self._control.ask(f"CWD {path}", "2xx", "5xx")
        return code.startswith("2")


@asynccontextmanager
async def _carried(carrier: Carrier) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        carrier.abort()


async def _pieces(carrier: Carrier, at: Address) -> AsyncIterator[bytes]:
    while True:
        with told(at.url, "read it"):
            piece = await carrier.reader.read(PIECE)
        if not piece:
            return
        carrier.taken += len(piece)
        yield piece
