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
    try:
        tls = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_file or None)
    except OSError as error:
        raise Invalid(f"FTPStorage.CAFile: cannot use {settings.ca_file}: {error}") from error
    guard, seconds = Guard(reach), settings.timeout.total_seconds()
    store = FileServerStore(
        SCHEMES,
        lambda at: login(settings, at),
        lambda login: _logged_in(guard, tls, seconds, login),
        now,
        settings.max_connections,
        conditional=False,
    )
    try:
        yield store
    finally:
        await store.pool.close()


async def _logged_in(guard: Guard, tls: ssl.SSLContext, seconds: float, login: Login) -> FTPSession:
    """To the first of its addresses that answers; all of them must be such as may be reached."""
    what = f"log in as {login.user} (see FTPStorage.User, .Password and .Hosts)"
    last: FunnelError | None = None
    for address in await _addresses(guard, login):
        implicit = tls if login.tls and login.port == IMPLICIT else None
        control = Control(address, seconds, implicit)
        try:
            with told(login.where, what, Denied):
                await control.greeted(login.host, login.port)
                if login.tls:
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


async def _addresses(guard: Guard, login: Login) -> list[str]:
    try:
        found = await guard.addresses(login.host, login.port)
    except socket.gaierror as error:
        kind = NotFound if error.errno == socket.EAI_NONAME else Unavailable
        raise kind(f"no address is known of {login.host}: {error.strerror}") from error
    except UnicodeError as error:
        raise Invalid(f"{login.host} is not the name of a host") from error
    return [str(where[0]) for *_, where in found]
