"""A line to OpenSSH's SFTP server that meddles with requests and answers, within SSH."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncssh
from faults import READING, WRITING, Choose, Fault, Must

SERVER: Final = "/usr/lib/openssh/sftp-server"
DELAY: Final = 0.2
"""Seconds that a slow answer takes: less than what is patience here."""
VERSION: Final = 2
STATUS: Final = 101
DATA: Final = 103
ATTRS: Final = 105
EXTENDED: Final = 200
VERBS: Final[Mapping[int, str]] = {
    1: "INIT",
    3: "OPEN",
    4: "CLOSE",
    5: "READ",
    6: "WRITE",
    7: "LSTAT",
    8: "FSTAT",
    11: "OPENDIR",
    12: "READDIR",
    13: "REMOVE",
    14: "MKDIR",
    17: "STAT",
    18: "RENAME",
}


class _Door(asyncssh.SSHServer):
    """Anybody may come in."""

    def __init__(self, line: "FaultySftpLine") -> None:
        self._line = line

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        del username
        return False

    def session_requested(self) -> "_Session":
        return _Session(self._line, self._connection)


class _Session(asyncssh.SSHServerSession[bytes]):
    def __init__(self, line: "FaultySftpLine", connection: asyncssh.SSHServerConnection) -> None:
        self._line = line
        self._connection = connection
        self._reader = asyncio.StreamReader()

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel: Any = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        visit = Visit(self._line, self._reader, self._channel.write, self._connection.abort)
        self._line.start(visit.run())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        del datatype
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        self._reader.feed_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._reader.feed_eof()


class FaultySftpLine:
    """Answers `faults.Line`; it has a host's `key`, and files are those that `user` may see."""

    def __init__(self, key: Path, user: str, choose: Choose) -> None:
        self.user = user
        self._key = str(key)
        self.address = ""
        self.asked = list[str]()
        self.struck = 0
        self.busy = 0
        self._choose = choose
        self._visits = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["FaultySftpLine"]:
        """Raises `AssertionError` where connections are left open."""
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Door(self),
            server_host_keys=[self._key],
            encoding=None,
            kex_algs=["curve25519-sha256"],
        )
        self.address = f"127.0.0.1:{server.get_port()}"
        try:
            yield self
            if self._visits:
                await asyncio.wait(self._visits, timeout=10)
            assert not self._visits, f"{len(self._visits)} connections were left open"
        finally:
            server.close()
            for one in self._visits:
                one.cancel()
            await asyncio.gather(*self._visits, return_exceptions=True)

    def strike(self, asked: str) -> "Strike | None":
        self.asked.append(asked)
        found: Strike | None = self._choose(len(self.asked) - 1, asked)
        self.struck += found is not None
        return found

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)


class Visit:
    """One client, and a server of its own."""

    def __init__(
        self,
        line: FaultySftpLine,
        reader: asyncio.StreamReader,
        write: Callable[[bytes], None],
        cut: Callable[[], None],
    ) -> None:
        self.line = line
        self.write = write
        self.cut = cut
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self._reader = reader

    async def run(self) -> None:
        self.server = await asyncio.create_subprocess_exec(
            SERVER,
            user=self.line.user,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        answering = asyncio.create_task(self._answers())
        met = set[asyncio.Task[None]]()
        try:
            while packet := await _packet(self._reader):
                task = asyncio.create_task(self._meet(packet))
                met.add(task)
                task.add_done_callback(met.discard)
        finally:
            for one in (answering, *met):
                one.cancel()
            await asyncio.gather(answering, *met, return_exceptions=True)
            with suppress(ProcessLookupError):
                self.server.kill()
            # Its end is not told before all that it said has been read.
            await self.server.communicate()
            self.cut()

    async def _meet(self, packet: bytes) -> None:
        exchange = Exchange(self, packet)
        strike = self.line.strike(exchange.verb)
        self.line.busy += 1
        try:
            await (strike(exchange) if strike else exchange.passed())
        except (OSError, asyncssh.Error):
            self.cut()
        finally:
            self.line.busy -= 1

    async def _answers(self) -> None:
        assert self.server.stdout
        while packet := await _packet(self.server.stdout):
            future = self.waiting.pop(_number(packet), None)
            if future and not future.done():
                future.set_result(packet)


class Exchange:
    """A request, and what may be done with it."""

    def __init__(self, visit: Visit, packet: bytes) -> None:
        self._visit = visit
        self._packet = packet
        self._number = _number(packet)
        self.verb = VERBS.get(packet[0], str(packet[0]))
        if packet[0] == EXTENDED:
            self.verb = _text(packet, 5).decode().partition("@")[0]

    async def forward(self) -> bytes:
        """The answer. Requests go in the order in which they come."""
        stdin = self._visit.server.stdin
        assert stdin
        future = self._visit.waiting[self._number] = asyncio.get_running_loop().create_future()
        stdin.write(struct.pack(">I", len(self._packet)) + self._packet)
        return await future

    def say(self, packet: bytes) -> None:
        self._visit.write(struct.pack(">I", len(packet)) + packet)

    async def passed(self) -> None:
        self.say(await self.forward())

    def status(self, code: int, text: bytes) -> None:
        size = struct.pack(">I", len(text))
        self.say(struct.pack(">BII", STATUS, max(self._number, 0), code) + size + text + bytes(4))

    async def until_gone(self) -> None:
        await asyncio.Event().wait()

    def cut(self) -> None:
        self._visit.cut()


Strike: TypeAlias = Callable[[Exchange], Awaitable[None]]


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """Empty at the end."""
    with suppress(asyncio.IncompleteReadError):
        size = struct.unpack(">I", await reader.readexactly(4))[0]
        return await reader.readexactly(size)
    return b""


def _number(packet: bytes) -> int:
    """That of a request; those that begin a session have none."""
    if packet[0] <= VERSION:
        return -1
    number: int = struct.unpack(">I", packet[1:5])[0]
    return number


def _text(packet: bytes, at: int) -> bytes:
    size = struct.unpack(">I", packet[at : at + 4])[0]
    return packet[at + 4 : at + 4 + size]


def refused(code: int, text: bytes) -> Strike:
    async def strike(exchange: Exchange) -> None:
        exchange.status(code, text)

    return strike


async def cut_before(exchange: Exchange) -> None:
    exchange.cut()


async def answer_lost(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.cut()


async def silent(exchange: Exchange) -> None:
    await exchange.until_gone()


async def silent_after(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.until_gone()


async def slow(exchange: Exchange) -> None:
    await asyncio.sleep(DELAY)
    await exchange.passed()


async def bare(exchange: Exchange) -> None:
    """A server that offers nothing beyond the third version of the protocol."""
    answer = await exchange.forward()
    exchange.say(answer[:5])


async def some(exchange: Exchange) -> None:
    """Less than was asked for."""
    answer = await exchange.forward()
    if answer[0] == DATA and len(found := _text(answer, 5)) > 1:
        half = found[: len(found) // 2]
        answer = answer[:5] + struct.pack(">I", len(half)) + half
    exchange.say(answer)


async def trickle(exchange: Exchange) -> None:
    """10 bytes a second."""
    answer = await exchange.forward()
    await asyncio.sleep(0.1)
    exchange.say(answer[:5] + struct.pack(">I", 1) + answer[9:10] if answer[0] == DATA else answer)


async def wrong_size(exchange: Exchange) -> None:
    answer = await exchange.forward()
    if answer[0] == ATTRS and answer[8] & 1:
        size = struct.unpack(">Q", answer[9:17])[0]
        answer = answer[:9] + struct.pack(">Q", size + 1) + answer[17:]
    exchange.say(answer)


async def nonsense(exchange: Exchange) -> None:
    answer = await exchange.forward()
    exchange.say(answer[:1] + b"<html><p>Welcome to the network</p></html>")


async def other_kind(exchange: Exchange) -> None:
    """An answer to another kind of request."""
    answer = await exchange.forward()
    exchange.say(bytes([DATA if answer[0] != DATA else ATTRS]) + answer[1:5] + bytes(8))


FILES: Final = READING | WRITING
READ: Final = frozenset({"READ"})
INIT: Final = frozenset({"INIT"})
CHANGES: Final = frozenset({"OPEN", "WRITE", "fsync", "CLOSE", "posix-rename"})

SFTP_FAULTS: Final[Mapping[str, Fault]] = {
    "end of file": Fault(
        strike=refused(1, b"End"), once=Must.MAY_FAIL, verbs=CHANGES | {"STAT", "FSTAT", "OPENDIR"}
    ),
    "end in the middle": Fault(strike=refused(1, b"End"), verbs=READ),
    "no such file": Fault(strike=refused(2, b"No such file"), once=Must.MAY_FAIL, always=False),
    "denied": Fault(strike=refused(3, b"Permission denied"), once=Must.MAY_FAIL, always=False),
    "failure": Fault(strike=refused(4, b"Failure"), once=Must.MAY_FAIL, verbs=CHANGES),
    "no connection": Fault(strike=refused(6, b"No connection"), always=False),
    "connection lost": Fault(strike=refused(7, b"Connection lost"), verbs=CHANGES | READ),
    "unsupported": Fault(strike=refused(8, b"Unsupported"), once=Must.MAY_FAIL, always=False),
    "disk full": Fault(strike=refused(14, b"No space"), once=Must.MAY_FAIL, verbs=CHANGES),
    "quota": Fault(strike=refused(15, b"Quota"), once=Must.MAY_FAIL, verbs=CHANGES),
    "cut before": Fault(strike=cut_before),
    "answer lost": Fault(strike=answer_lost, always=False),
    "silent": Fault(strike=silent, always=False),
    "silent after": Fault(strike=silent_after, verbs=CHANGES | READ),
    "slow": Fault(strike=slow, always=False),
    "third version": Fault(strike=bare, verbs=INIT),
    "less": Fault(strike=some, verbs=READ),
    "10 bytes a second": Fault(strike=trickle, verbs=READ),
    "wrong size": Fault(strike=wrong_size, ops=FILES, verbs=frozenset({"STAT", "FSTAT"})),
    "nonsense": Fault(strike=nonsense, always=False),
    "other answer": Fault(strike=other_kind, always=False),
}
