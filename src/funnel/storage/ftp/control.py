"""A logged-in connection to an FTP server, and the ones that carry its files."""

import asyncio
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import aioftp
from aioftp.common import SSLSessionBoundContext
from aioftp.errors import AIOFTPException, StatusCodeError

from funnel.core.error import Denied, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.net.guard import Guard
from funnel.storage.ftp.settings import IMPLICIT, Login, Settings

BUFFER: Final = 1 << 20
"""Bytes of a reader, twice of which it may hold."""
END: Final = 1.0
"""Seconds until a connection must end after the last byte of a file."""
MISSING: Final = ("no such", "not found", "not exist", "cannot find", "not a directory")
FORBIDDEN: Final = ("denied", "permission", "privilege", "not allowed", "access")
"""In what servers say with 550, which they answer for both."""


class Control(aioftp.Client):
    """
    Text is bytes in Latin-1. Every connection goes to one address, that which was judged: what a
    server says of another one is not heard.
    """

    def __init__(self, address: str, settings: Settings, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            ssl=tls,
            socket_timeout=settings.timeout.total_seconds(),
            connection_timeout=settings.timeout.total_seconds(),
            encoding="latin-1",
        )
        self.features = frozenset[str]()
        self._address = address
        self._implicit = tls
        self._seconds = settings.timeout.total_seconds()
        self._by_old_command = False
        self._busy = False

    @property
    def usable(self) -> bool:
        """Not after a file of which not all was taken."""
        stream = self.stream
        gone = stream.reader.at_eof() or stream.writer.is_closing()
        return not gone and not self._busy

    def close(self) -> None:
        with suppress(ConnectionError):
            self.stream.writer.transport.abort()

    async def wait_closed(self) -> None:
        with suppress(OSError, ssl.SSLError):
            await self.stream.writer.wait_closed()

    async def prepare(self, login: Login, tls: ssl.SSLContext | None) -> None:
        """Log in, and learn what the server can do."""
        await self.connect(login.host, login.port)
        if self._implicit:
            await self.command("PBSZ 0", "200")
            await self.command("PROT P", "200")
        elif tls:
            await self.upgrade_to_tls(tls)
        await self.login(raw(login.user), raw(login.password.reveal()))
        await self.command("TYPE I", "200")
        _, told = await self.command("FEAT", ("2xx", "5xx"))
        self.features = frozenset(one.split()[0].upper() for one in told[1:-1] if one.strip())
        if "UTF8" in self.features:
            await self.command("OPTS UTF8 ON", ("2xx", "5xx"))

    async def begin(self, command: str, start: int = 0) -> "Carrier":
        """Have a file come or go, from a byte on where the server can do that."""
        reader, writer = await self._carrier()
        carrier = Carrier(reader, writer)
        try:
            if start:
                code, _ = await self.command(f"REST {start}", ("350", "5xx"))
                carrier.start = start if code == "350" else 0
            await self.command(command, "1xx")
        except BaseException:
            carrier.abort()
            raise
        self._busy = True
        return carrier

    async def finish(self, carrier: "Carrier") -> None:
        """Say that it is whole, or hear so; of what was left in the middle nothing is heard."""
        if carrier.written:
            carrier.writer.close()
            await carrier.writer.wait_closed()
        elif not await carrier.ended():
            return
        await self.command(None, "2xx")
        self._busy = False

    async def _carrier(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = await self._port()
        told = self.stream.writer.get_extra_info("ssl_object")
        # Some servers want to see the session of the login again.
        tls = told and SSLSessionBoundContext(
            ssl.PROTOCOL_TLS_CLIENT, context=told.context, session=told.session
        )
        async with asyncio.timeout(self._seconds):
            return await self._connected(port, tls)

    async def _port(self) -> int:
        if not self._by_old_command:
            code, told = await self.command("EPSV", ("229", "5xx"))
            if code == "229":
                return self.parse_epsv_response(told[-1])[1]
            self._by_old_command = True
        _, told = await self.command("PASV", "227")
        return self.parse_pasv_response(told[-1])[1]

    async def _open_connection(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.server_host = host
        async with asyncio.timeout(self._seconds):
            return await self._connected(port, self._implicit)

    async def _connected(
        self, port: int, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            self._address,
            port,
            ssl=tls,
            server_hostname=self.server_host if tls else None,
            limit=BUFFER,
        )


class Carrier:
    """A connection for one file, which comes from the byte `start` on, or is `written`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.start = 0
        self.written = False

    async def ended(self) -> bool:
        """Whether all was taken; the end comes a little after the last byte."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END):
                return not await self.reader.read(1)
        return False

    def abort(self) -> None:
        self.writer.transport.abort()


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
        raise kind(f"{shown}: cannot {what}: the server says {code} {text!r}") from error
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
    if code in {"430", "530", "532"}:
        return Denied
    if code.startswith("4"):
        return Unavailable
    if any(one in text for one in MISSING):
        return NotFound
    if any(one in text for one in FORBIDDEN):
        return Denied
    return otherwise if code in {"550", "553"} else FunnelError


async def logged_in(settings: Settings, guard: Guard, tls: ssl.SSLContext, login: Login) -> Control:
    """To the first of its addresses that answers; all of them must be such as may be reached."""
    what = f"log in as {login.user} (see FTPStorage.User, .Password and .Hosts)"
    last: FunnelError | None = None
    for address in await _addresses(guard, login):
        implicit = tls if login.tls and login.port == IMPLICIT else None
        control = Control(address, settings, implicit)
        try:
            with told(login.where, what, Denied):
                await control.prepare(login, tls if login.tls else None)
        except BaseException as error:
            control.close()
            await control.wait_closed()
            if not isinstance(error, Unavailable):
                raise
            last = error
        else:
            return control
    raise last or NotFound(f"{login.host} has no address")


async def _addresses(guard: Guard, login: Login) -> list[str]:
    try:
        found = await guard.resolve(login.host, login.port, socket.AF_UNSPEC)
    except socket.gaierror as error:
        kind = NotFound if error.errno == socket.EAI_NONAME else Unavailable
        raise kind(f"no address is known of {login.host}: {error.strerror}") from error
    except UnicodeError as error:
        raise Invalid(f"{login.host} is not the name of a host") from error
    return [one["host"] for one in found]
