"""A store of files at servers that speak FTP, and logging in there."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.reach import Reach
from funnel.net.guard import Guard
from funnel.ports import Clock
from funnel.storage.fileserver import FileServerStore
from funnel.storage.ftp.control import Control, told
from funnel.storage.ftp.session import FTPSession
from funnel.storage.ftp.settings import IMPLICIT, SCHEMES, Login, Settings, login


@asynccontextmanager
async def opened(
    given: tuple[Settings, Reach, Clock],
) -> AsyncGenerator[FileServerStore[Login, FTPSession]]:
    settings, reach, now = given
    store = FileServerStore(
        SCHEMES,
        lambda at: login(settings, at),
        _Logins(settings, Guard(reach)).logged_in,
        now,
        settings.max_connections,
        conditional=False,
    )
    try:
        yield store
    finally:
        await store.pool.close()


class _Logins:
    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._ca_file = settings.ca_file
        self._seconds = settings.timeout.total_seconds()
        self._guard = guard
        self._tls: ssl.SSLContext | None = None

    async def logged_in(self, login: Login) -> FTPSession:
        """At the first of its addresses that answers; all must be such as may be reached."""
        what = f"log in as {login.user} (see FTPStorage.User, .Password and .Hosts)"
        tls = await self._trusted() if login.tls else None
        last: FunnelError | None = None
        for address in await _addresses(self._guard, login):
            control = Control(address, self._seconds, tls if login.port == IMPLICIT else None)
            try:
                with told(login.where, what, Denied):
                    await control.greeted(login.host, login.port)
                    if tls:
                        await control.protected(tls)
                    await control.logged_in(login.user, login.password.reveal())
            except BaseException as error:
                control.close()
                if not isinstance(error, Unavailable):
                    raise
                await control.wait_closed()
                last = error
            else:
                return FTPSession(control)
        raise last or NotFound(f"{login.host} has no address")

    async def _trusted(self) -> ssl.SSLContext:
        """Read when it is first needed: that takes a while."""
        if not self._tls:
            make = ssl.create_default_context
            try:
                self._tls = await asyncio.to_thread(make, cafile=self._ca_file or None)
            except OSError as error:
                raise Invalid(f"FTPStorage.CAFile: cannot use {self._ca_file}: {error}") from error
        return self._tls


async def _addresses(guard: Guard, login: Login) -> list[str]:
    try:
        found = await guard.addresses(login.host, login.port)
    except socket.gaierror as error:
        kind = NotFound if error.errno == socket.EAI_NONAME else Unavailable
        raise kind(f"no address is known of {login.host}: {error.strerror}") from error
    except UnicodeError as error:
        raise Invalid(f"{login.host} is not the name of a host") from error
    return [str(where[0]) for *_, where in found]
