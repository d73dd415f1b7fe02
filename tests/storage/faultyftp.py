"""A line to an FTP server that meddles with commands, answers and files."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from faults import READING, WRITING, Choose, Fault, Must

DELAY: Final = 0.2
"""Seconds that a slow answer takes: less than what is patience here."""
DROP: Final = 0.1
"""Seconds between two bytes of a trickle."""
HALF: Final = 500
"""Bytes of a file that come until something happens to it."""
BLOCK: Final = 1 << 16
CONNECT: Final = "CONNECT"
"""What is asked by coming, and answered with a greeting."""
TRANSFERS: Final = frozenset({"RETR", "STOR", "MLSD"})
PORT: Final = re.compile(rb"\(\|\|\|(\d+)\|\)")


class End(Enum):
    """What becomes of a file on its way."""

    GOOD = auto()
    RESET = auto()
    CLOSED = auto()
    """As if that were all."""
    SILENT = auto()
    TRICKLE = auto()


class Ends:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, words: bytes) -> None:
        self.writer.write(words)
        await self.writer.drain()

    def abort(self) -> None:
        with suppress(AttributeError):
            self.writer.transport.abort()

    def reset(self) -> None:
        """As a machine does that has forgotten the connection."""
        with suppress(OSError):
            one = self.writer.get_extra_info("socket")
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


class FaultyFtpLine:
    """Answers `faults.Line`."""

    def __init__(self, server: str, choose: Choose) -> None:
        self.host, _, self.port = server.partition(":")
        self.address = ""
        self.asked = list[str]()
        self.struck = 0
        self.busy = 0
        self.deaf = False
        """It says that files go on from another byte, and lets them begin with the first one."""
        self._choose = choose
        self._tasks = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["FaultyFtpLine"]:
        """Raises `AssertionError` where connections are left open."""
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=10)
            assert not self._tasks, f"{len(self._tasks)} connections were left open"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # What was aborted is closed a little later.
            await asyncio.sleep(0.05)

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def strike(self, asked: str) -> "Strike | None":
        self.asked.append(asked)
        found: Strike | None = self._choose(len(self.asked) - 1, asked)
        self.struck += found is not None
        return found

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.start(_Visit(self, Ends(reader, writer)).run())


class _Visit:
    """One client, and a connection to the server for it."""

    def __init__(self, line: FaultyFtpLine, client: Ends) -> None:
        self.line = line
        self.client = client
        self._file: asyncio.Future[End] | None = None
        self._carrying = set[asyncio.Task[None]]()
        self._listeners = list[socket.socket]()

    async def run(self) -> None:
        self.server = Ends(*await asyncio.open_connection(self.line.host, self.line.port))
        try:
            command = b""
            while True:
                await self._meet(Exchange(self, command))
                command = await self.client.reader.readline()
                if not command:
                    return
        except OSError:
            return
        finally:
            self.befalls(None)
            for one in self._carrying:
                one.cancel()
            await asyncio.gather(*self._carrying, return_exceptions=True)
            for listener in self._listeners:
                listener.close()
            self.client.abort()
            self.server.abort()

    async def _meet(self, exchange: "Exchange") -> None:
        if self.line.deaf and exchange.verb == "REST":
            await self.client.say(b"350 Certainly.\r\n")
            return
        self.line.busy += 1
        try:
            strike = self.line.strike(exchange.asked)
            await (strike(exchange) if strike else exchange.passed())
        finally:
            self.line.busy -= 1

    def befalls(self, end: End | None) -> None:
        """Let the file go on its way, or not any more."""
        if self._file and not self._file.done():
            if end:
                self._file.set_result(end)
            else:
                self._file.cancel()

    async def heard(self) -> bytes:
        """An answer of the server; files come by a port of ours."""
        reader = self.server.reader
        lines = [await reader.readline()]
        while lines[0][3:4] == b"-" and lines[-1] and lines[-1][:4] != lines[0][:3] + b" ":
            lines.append(await reader.readline())
        if not lines[-1]:
            raise ConnectionResetError
        answer = b"".join(lines)
        if found := PORT.search(answer):
            answer = answer.replace(found[1], b"%d" % await self._listening(int(found[1])))
        return answer

    async def heard_at_last(self) -> bytes:
        """After a file, for which nobody may wait any more."""
        hearing = asyncio.create_task(self.heard())
        gone = asyncio.create_task(self.client.reader.read(1))
        try:
            await asyncio.wait([hearing, gone], return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ConnectionResetError
            return hearing.result()
        finally:
            for one in (hearing, gone):
                one.cancel()
            await asyncio.gather(hearing, gone, return_exceptions=True)

    async def _listening(self, port: int) -> int:
        self.befalls(None)
        self._file = file = asyncio.get_running_loop().create_future()

        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0)
        self._listeners.append(listener)
        self._carrying.add(self.line.start(self._carry(listener, port, file)))
        ours: int = listener.getsockname()[1]
        return ours

    async def _carry(self, listener: socket.socket, port: int, file: "asyncio.Future[End]") -> None:
        accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
        client = Ends(*await asyncio.open_connection(sock=accepted))
        try:
            server = Ends(*await asyncio.open_connection(self.line.host, port))
            try:
                await asyncio.wait([file])
                if not file.cancelled():
                    await _flows(client, server, file.result())
            finally:
                server.abort()
        finally:
            client.abort()


async def _flows(client: Ends, server: Ends, end: End) -> None:
    """Until one of them is at its end."""
    flows = [
        asyncio.create_task(_flow(server, client, end)),
        asyncio.create_task(_flow(client, server, end)),
    ]
    try:
        await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in flows:
            one.cancel()
        await asyncio.gather(*flows, return_exceptions=True)


async def _flow(source: Ends, to: Ends, end: End) -> None:
    sent = 0
    with suppress(OSError):
        while piece := await source.reader.read(BLOCK):
            for byte in piece if end is End.TRICKLE else b"":
                await to.say(bytes([byte]))
                await asyncio.sleep(DROP)
            some = piece if end is End.GOOD else piece[: max(0, HALF - sent)]
            await to.say(some)
            sent += len(some)
            if end is End.SILENT and sent >= HALF:
                await asyncio.Event().wait()
            if end is End.RESET and sent >= HALF:
                await asyncio.sleep(0.02)
                to.reset()
                source.reset()
                return
        to.writer.close()
        await to.writer.wait_closed()


class Exchange:
    """A command, and what may be done with it."""

    def __init__(self, visit: _Visit, command: bytes) -> None:
        self.line = visit.line
        self._visit = visit
        self._command = command
        self.asked = command.decode("latin-1").strip() or CONNECT
        self.verb = self.asked.split()[0]

    async def forward(self) -> bytes:
        """The answer, which for a transfer is the first one."""
        if self._command:
            await self._visit.server.say(self._command)
        return await self._visit.heard()

    async def say(self, answer: bytes) -> None:
        await self._visit.client.say(answer)

    async def passed(self, end: End = End.GOOD) -> None:
        if last := await self.but_for_the_end(end):
            await self.say(last)

    async def but_for_the_end(self, end: End = End.GOOD) -> bytes:
        """The last answer, which nobody has been told yet."""
        answer = await self.forward()
        if not answer.startswith(b"1"):
            return answer
        await self.say(answer)
        self._visit.befalls(end)
        return await self._visit.heard_at_last()

    async def until_gone(self) -> None:
        """Say nothing more."""
        with suppress(OSError):
            await self._visit.client.reader.read()
        raise ConnectionResetError

    def reset(self) -> None:
        self._visit.client.reset()
        raise ConnectionResetError


Strike: TypeAlias = Callable[[Exchange], Awaitable[None]]


def refused(answer: bytes) -> Strike:
    async def strike(exchange: Exchange) -> None:
        await exchange.say(answer + b"\r\n")
        if answer.startswith(b"421"):
            raise ConnectionResetError

    return strike


def broken_off(end: End, answer: bytes = b"") -> Strike:
    """In the middle of a file; the server itself may say what it wants of it."""

    async def strike(exchange: Exchange) -> None:
        last = await exchange.but_for_the_end(end)
        await exchange.say(answer + b"\r\n" if answer else last)

    return strike


async def reset_before(exchange: Exchange) -> None:
    exchange.reset()


async def closed_before(_: Exchange) -> None:
    raise ConnectionResetError


async def answer_lost(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.reset()


async def end_lost(exchange: Exchange) -> None:
    await exchange.but_for_the_end()
    exchange.reset()


async def silent(exchange: Exchange) -> None:
    await exchange.until_gone()


async def silent_after(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.until_gone()


async def silent_at_the_end(exchange: Exchange) -> None:
    await exchange.but_for_the_end()
    await exchange.until_gone()


async def slow(exchange: Exchange) -> None:
    await asyncio.sleep(DELAY)
    await exchange.passed()


async def goodbye(exchange: Exchange) -> None:
    """Said when nobody has asked, as servers do when they go down."""
    await exchange.passed()
    await exchange.say(b"421 The server goes down.\r\n")
    raise ConnectionResetError


async def twice(exchange: Exchange) -> None:
    await exchange.passed()
    await exchange.say(b"200 Once more.\r\n")


async def nonsense(exchange: Exchange) -> None:
    await exchange.say(b"<html><p>Welcome to the network\r\n")


async def endless(exchange: Exchange) -> None:
    while True:
        await exchange.say(b"230-And another thing.\r\n" * 100)
        await asyncio.sleep(0.001)


async def wordy(exchange: Exchange) -> None:
    last = await exchange.but_for_the_end()
    code = last[:3]
    await exchange.say(code + b"-Before all:\r\n550 things may go wrong\r\n" + last)


async def wrong_size(exchange: Exchange) -> None:
    answer = await exchange.forward()
    await exchange.say(
        re.sub(rb"(size=|^213 )(\d+)", lambda it: b"%s%d" % (it[1], int(it[2]) + 1), answer)
    )


async def deaf(exchange: Exchange) -> None:
    """It breaks off, and does not go on from where it says."""
    exchange.line.deaf = True
    await exchange.passed(End.RESET)


FILES: Final = READING | WRITING
SAID: Final = frozenset({"USER", "PASS", "TYPE", "SIZE", "RNFR", "RNTO", "RETR", "STOR"})
STOR: Final = frozenset({"STOR"})
MEASURED: Final = frozenset({"MLST", "SIZE"})

FTP_FAULTS: Final[Mapping[str, Fault]] = {
    "421": Fault(strike=refused(b"421 Too many connections")),
    "425": Fault(strike=refused(b"425 Cannot open a connection"), verbs=TRANSFERS),
    "450": Fault(strike=refused(b"450 Try again"), always=False),
    "451": Fault(strike=refused(b"451 A local error"), always=False),
    "452": Fault(strike=refused(b"452 No space left"), once=Must.MAY_FAIL, verbs=STOR),
    "500": Fault(strike=refused(b"500 What?"), once=Must.MAY_FAIL, always=False),
    "530": Fault(strike=refused(b"530 Not logged in"), once=Must.MAY_FAIL),
    "530 for too many": Fault(
        strike=refused(b"530 Sorry, the maximum number of clients is logged in"),
        verbs=frozenset({"USER", "PASS"}),
    ),
    "550": Fault(strike=refused(b"550 No"), once=Must.MAY_FAIL),
    "reset before": Fault(strike=reset_before),
    "closed before": Fault(strike=closed_before, always=False),
    "answer lost": Fault(strike=answer_lost),
    "end lost": Fault(strike=end_lost, verbs=TRANSFERS),
    "silent": Fault(strike=silent, always=False),
    "silent after": Fault(strike=silent_after, always=False),
    "silent at the end": Fault(strike=silent_at_the_end, verbs=TRANSFERS),
    "slow": Fault(strike=slow, always=False),
    "goodbye": Fault(strike=goodbye),
    "another answer": Fault(strike=twice),
    "nonsense": Fault(strike=nonsense),
    "endless": Fault(strike=endless, always=False),
    "many words": Fault(strike=wordy, verbs=SAID),
    "wrong size": Fault(strike=wrong_size, ops=FILES, verbs=MEASURED),
    "file reset": Fault(strike=broken_off(End.RESET), verbs=TRANSFERS),
    "file reset, 226": Fault(strike=broken_off(End.RESET, b"226 Done"), verbs=TRANSFERS),
    "file reset, 426": Fault(strike=broken_off(End.RESET, b"426 Aborted"), verbs=TRANSFERS),
    "file reset, 451": Fault(strike=broken_off(End.RESET, b"451 An error"), verbs=TRANSFERS),
    "file reset, 552": Fault(
        strike=broken_off(End.RESET, b"552 Over the quota"), once=Must.MAY_FAIL, verbs=STOR
    ),
    "file cut short": Fault(strike=broken_off(End.CLOSED), ops=FILES, verbs=TRANSFERS),
    "file silent": Fault(strike=broken_off(End.SILENT), verbs=TRANSFERS),
    "10 bytes a second": Fault(strike=broken_off(End.TRICKLE), verbs=TRANSFERS),
    "goes on elsewhere": Fault(strike=deaf, ops=READING, verbs=frozenset({"RETR"}), always=False),
}
