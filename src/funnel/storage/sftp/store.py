"""A store of files at servers that speak SFTP, and logging in: only where the host is known."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import asyncssh

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.ports import Clock
from funnel.storage.fileserver import FileServerStore
from funnel.storage.sftp.session import SFTPSession
from funnel.storage.sftp.settings import PORT, SCHEMES, Login, Settings, login

CIPHERS: Final = "^aes128-gcm@openssh.com"
"""First the one that costs least; then those that the library has."""
ALIVE: Final = 15
"""Seconds of silence until the other side is asked whether it is there."""


@asynccontextmanager
async def opened(
    given: tuple[Settings, Clock],
) -> AsyncGenerator[FileServerStore[Login, SFTPSession]]:
    settings, now = given
    store = FileServerStore(
        SCHEMES,
        lambda at: login(settings, at),
        lambda login: _logged_in(settings, login),
        now,
        settings.max_connections,
        conditional=True,
    )
    try:
        yield store
    finally:
        await store.pool.close()


async def _logged_in(settings: Settings, login: Login) -> SFTPSession:
    """Raises `Denied` before the host is asked anything where its key is not known."""
    where = login.host if login.port == PORT else f"{login.host}:{login.port}"
    known = await asyncio.to_thread(_known_hosts, settings, login, where)
    key = await asyncio.to_thread(_key, login)
    seconds = settings.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return SFTPSession(*await _connected(login, known, key), seconds)
    except asyncssh.HostKeyNotVerifiable as error:
        raise Denied(
            f"{where} shows another key than SFTPStorage.KnownHostsFile has for it: {error.reason}"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise Denied(
            f"{where} refused the login of {login.user}: {error.reason}; see SFTPStorage.Password,"
            " .KeyFile and .Hosts"
        ) from error
    except TimeoutError as error:
        raise Unavailable(f"{where} did not let us in within {seconds:g} s") from error
    except (OSError, asyncssh.Error) as error:
        raise Unavailable(f"cannot log in at {where}: {error}") from error


async def _connected(
    login: Login, known: asyncssh.SSHKnownHosts, key: asyncssh.SSHKey | None
) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
    connection = await asyncssh.connect(
        login.host,
        login.port,
        config=None,
        known_hosts=known,
        username=login.user,
        password=login.password.reveal() or None,
        client_keys=[key] if key else None,
        agent_path=None,
        encryption_algs=CIPHERS,
        keepalive_interval=ALIVE,
    )
    try:
        return connection, await connection.start_sftp_client(None)
    except BaseException:
        connection.abort()
        raise


def _known_hosts(settings: Settings, login: Login, where: str) -> asyncssh.SSHKnownHosts:
    path = settings.known_hosts_file
    port = f"-p {login.port} " if login.port != PORT else ""
    how = f"ssh-keyscan {port}{login.host} tells it; compare it with what the host's owner says"
    if not path:
        raise Denied(
            f"{where}: SFTPStorage.KnownHostsFile is empty: name a file with the host's key: {how}"
        )
    try:
        known = asyncssh.read_known_hosts(path)
    except (OSError, ValueError) as error:
        raise Invalid(f"SFTPStorage.KnownHostsFile: cannot use {path}: {error}") from error
    if not any(known.match(login.host, "", None if login.port == PORT else login.port)):
        raise Denied(f"{where} is not in SFTPStorage.KnownHostsFile ({path}): {how}")
    return known


def _key(login: Login) -> asyncssh.SSHKey | None:
    if not login.key_file:
        return None
    try:
        return asyncssh.read_private_key(login.key_file)
    except (OSError, asyncssh.KeyImportError) as error:
        raise Invalid(f"SFTPStorage.KeyFile: cannot use {login.key_file}: {error}") from error
