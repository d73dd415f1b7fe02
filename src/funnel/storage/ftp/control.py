"""A connection to an FTP server that carries commands and answers, and those that carry files."""

import asyncio
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import aioftp
from aioftp.common import Code, SSLSessionBoundContext, ThrottleStreamIO
from aioftp.errors import AIOFTPException, StatusCodeError

from funnel.core.error import Denied, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.url import silenced
from funnel.ports import Piece

Answer: TypeAlias = tuple[Code, list[str]]

BUFFER: Final = 1 << 20
"""Bytes of a reader, twice of which it may hold."""
LONGEST: Final = 1 << 16
"""Characters of one answer."""
SHOWN: Final = 300
"""Characters of an answer that are shown."""
END: Final = 1.0
"""Seconds until a connection must end after the last byte of a file."""
KEPT: Final = 300.0
"""Seconds until a server must say that it has a file, which some take elsewhere first."""
ALIVE: Final = 60
"""Seconds of silence after which the line is tried: some forget those that carry no bytes."""
MISSING: Final = ("no such", "not found", "not exist", "cannot find", "not a directory")
FORBIDDEN: Final = ("denied", "permission", "privilege", "not allowed", "access")
"""In what servers say with 550, which they answer for both."""
ENDS: Final = frozenset("\0\r\n")
"""Of a command, to some servers."""
BUSY: Final = ("too many", "maximum number")
"""In what some servers say with 530, as if a password were wrong."""


class Answers(asyncio.StreamReader):
    """Of a server; what is `unread` when nothing was asked was not asked for."""

    def __init__(self) -> None:
        super().__init__(limit=LONGEST)
        self.unread = 0

    def feed_data(self, data: Any) -> None:
        self.unread += len(data)
        super().feed_data(data)

    async def readline(self) -> bytes:
        line = await super().readline()
        self.unread -= len(line)
        return line


class Control(aioftp.Client):
    """
    Text is bytes in Latin-1. Every connection goes to one `address`, that which was judged: what
    a server says of another one is not heard. Each answer comes within `seconds`.

    `implicit` is for servers with which TLS begins with the first byte.
    """

    def __init__(self, address: str, seconds: float, implicit: ssl.SSLContext | None) -> None:
        super().__init__(ssl=implicit, encoding="latin-1")
        self.features = frozenset[str]()
        self._address = address
        self._implicit = implicit
        self._seconds = seconds
        self._answers = Answers()
        self._by_old_command = False
        self._busy = False
        self._secrets: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Not after a file of which not all was taken, nor after a goodbye."""
        stream = self.stream
        gone = stream.reader.at_eof() or stream.writer.is_closing()
        return not gone and not self._busy and not self._answers.unread

    def close(self) -> None:
        with suppress(ConnectionError):
            aborted(self.stream.writer)

    async def wait_closed(self) -> None:
        with suppress(OSError, ssl.SSLError):
            await self.stream.writer.wait_closed()

    async def greeted(self, host: str, port: int) -> None:
        self.server_host = host
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(self._answers)
        async with asyncio.timeout(self._seconds):
            transport, _ = await loop.create_connection(
                lambda: protocol,
                self._address,
                port,
                ssl=self._implicit,
                server_hostname=host if self._implicit else None,
            )
        writer = asyncio.StreamWriter(transport, protocol, self._answers, loop)
        _keep_alive(writer.get_extra_info("socket"))
        self._stream = ThrottleStreamIO(self._answers, writer, throttles={"_": self.throttle})
        code, _ = await self.ask(None, "120", "220")
        if code == "120":
            await self.ask(None, "220")

    async def protected(self, tls: ssl.SSLContext) -> None:
        """From now on by TLS, files too."""
        if not self._implicit:
            await self.ask("AUTH TLS", "234")
            async with asyncio.timeout(self._seconds):
                await self.stream.start_tls(sslcontext=tls, server_hostname=self.server_host)
        await self.ask("PBSZ 0", "200")
        await self.ask("PROT P", "200")

    async def logged_in(self, user: str, password: str) -> None:
        """And learn what the server can do."""
        code, _ = await self.ask(f"USER {raw(user)}", "230", "331")
        if code == "331":
            self._secrets = (password, raw(password))
            await self.ask(f"PASS {raw(password)}", "230", "202", secret=True)
        await self.ask("TYPE I", "200")
        _, told = await self.ask("FEAT", "2xx", "5xx")
        self.features = frozenset(one.split()[0].upper() for one in told[1:-1] if one.strip())
        if "UTF8" in self.features:
            await self.ask("OPTS UTF8 ON", "2xx", "5xx")

    async def ask(
        self,
        command: str | None,
        *expected: str,
        seconds: float | None = None,
        secret: bool = False,
    ) -> Answer:
        """Raises `StatusCodeError` for any other answer; without a command it waits for one."""
        if not ENDS.isdisjoint(command or ""):
            # Names come from lists of the server, where anybody may have put them.
            raise Invalid("a name has a character that ends a command, and cannot be asked for")
        if command and self._answers.unread:
            # Whoever put it there: it would be taken for the answer to this one.
            raise ConnectionResetError("the server said something that it was not asked for")
        async with asyncio.timeout(seconds or self._seconds):
            try:
                return await self.command(command, expected, censor_after=5 if secret else None)
            except StatusCodeError as error:
                said = [silenced(one, self._secrets) for one in error.info]
                raise StatusCodeError(error.expected_codes, error.received_codes, said) from None

    async def parse_line(self) -> tuple[Code, str]:
        """Into no log, where aioftp writes it: a server may repeat a password."""
        line = await self.stream.readline()
        if not line:
            self.stream.close()
            raise ConnectionResetError("the server has hung up")
        text = line.decode(encoding=self.encoding).rstrip()
        return Code(text[:3]), text[3:]

    async def parse_response(self) -> Answer:
        """As RFC 959 has it in section 4.2, of lines that may begin with any digits."""
        code, rest = await self.parse_line()
        if not (code.isdigit() and len(code) == 3):
            raise ConnectionResetError(f"an answer that is not of FTP: {(code + rest)[:SHOWN]!r}")
        lines, more = [rest], rest.startswith("-")
        while more:
            this, rest = await self.parse_line()
            more = this != code or rest.startswith("-")
            lines.append(rest if this == code else this + rest)
            if sum(map(len, lines)) > LONGEST:
                raise ConnectionResetError("an answer without end")
        return code, lines

    async def begin(self, command: str, start: int = 0) -> "Carrier":
        """Have a file come or go, from a byte on where the server can do that."""
        carrier = await self._carrier()
        try:
            if start:
                code, _ = await self.ask(f"REST {start}", "350", "5xx")
                carrier.start = start if code == "350" else 0
            await self.ask(command, "1xx")
        except BaseException:
            carrier.abort()
            raise
        self._busy = True
        return carrier

    async def sent(self, carrier: "Carrier", piece: Piece) -> None:
        """Raises what the server says, if it says something, where it takes no more."""
        try:
            carrier.writer.write(piece)
            await carrier.writer.drain()
        except OSError:
            await self._reason()
            raise

    async def finish_sent(self, carrier: "Carrier") -> None:
        """Say that it is whole, and hear that it is there."""
        try:
            await carrier.end()
        except OSError:
            await self._reason()
            raise
        await self.ask(None, "2xx", seconds=max(KEPT, self._seconds))
        self._busy = False

    async def finish_taken(self, carrier: "Carrier") -> bool:
        """Whether that was all; of what was left in the middle nothing is heard."""
        if not await carrier.ended():
            return False
        await self.ask(None, "2xx")
        self._busy = False
        return True

    async def _reason(self) -> None:
        with suppress(OSError):
            await self.ask(None, "2xx", seconds=END)

    async def _carrier(self) -> "Carrier":
        port = await self._port()
        told = self.stream.writer.get_extra_info("ssl_object")
        # Some servers want to see the session of the login again.
        tls = told and SSLSessionBoundContext(
            ssl.PROTOCOL_TLS_CLIENT, context=told.context, session=told.session
        )
        async with asyncio.timeout(self._seconds):
            reader, writer = await asyncio.open_connection(
                self._address,
                port,
                ssl=tls,
                server_hostname=self.server_host if tls else None,
                limit=BUFFER,
            )
        return Carrier(reader, writer)

    async def _port(self) -> int:
        if not self._by_old_command:
            code, told = await self.ask("EPSV", "229", "5xx")
            if code == "229":
                return self.parse_epsv_response(told[-1])[1]
            self._by_old_command = True
        _, told = await self.ask("PASV", "227")
        return self.parse_pasv_response(told[-1])[1]


class Carrier:
    """A connection for one file, which comes from the byte `start` on, or goes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.start = 0
        self.taken = 0

    async def ended(self) -> bool:
        """Whether all was taken; the end comes a little after the last byte."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END):
                return not await self.reader.read(1)
        return False

    async def end(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    def abort(self) -> None:
        aborted(self.writer)


def aborted(writer: asyncio.StreamWriter) -> None:
    # One that was closed with bytes still to send, and has sent them, fails here (CPython 3.11).
    with suppress(AttributeError):
        writer.transport.abort()


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE)


def raw(text: str) -> str:
    """For a command, whose characters are bytes."""
    return text.encode(errors="surrogateescape").decode("latin-1")


@contextmanager
def told(shown: str, what: str, otherwise: type[FunnelError] = NotFound) -> Generator[None]:
    """
    Errors of FTP as our own; `what` is being done.

    `otherwise` is what is meant where a server says no, and not why.
    """
    try:
        yield
    except StatusCodeError as error:
        text = " ".join(error.info).strip(" -").encode("latin-1").decode(errors="replace")
        code = error.received_codes[-1]
        kind = _kind(code, text.lower(), otherwise)
        raise kind(f"{shown}: cannot {what}: the server says {code} {text[:SHOWN]!r}") from error
    except ssl.SSLCertVerificationError as error:
        raise Denied(
            f"{shown}: cannot {what}: {error.verify_message}; the certificate must be for the name"
            " in the URL, and come from who is in FTPStorage.CAFile"
        ) from error
    except TimeoutError as error:
        raise Unavailable(f"{shown}: cannot {what}: no answer; see FTPStorage.Timeout") from error
    except (OSError, AIOFTPException, ValueError, IndexError) as error:
        raise Unavailable(f"{shown}: cannot {what}: {str(error) or repr(error)}") from error


def _kind(code: str, text: str, otherwise: type[FunnelError]) -> type[FunnelError]:
    if code in {"452", "552"}:
        return NoSpace
    if code.startswith("4") and code != "430":
        return Unavailable
    if code in {"430", "530", "532"}:
        return Unavailable if any(one in text for one in BUSY) else Denied
    if any(one in text for one in MISSING):
        return NotFound
    if any(one in text for one in FORBIDDEN):
        return Denied
    return otherwise if code in {"550", "553"} else FunnelError
