"""Logging in by SSH, at hosts whose keys are known."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import asyncssh

from funnel.core.error import Denied, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.storage.sftp.settings import PORT, Login, Settings

CIPHERS: Final = "^aes128-gcm@openssh.com"
"""First the one that costs least; then those that the library has."""
ALIVE: Final = 15
"""Seconds of silence until the other side is asked whether it is there."""
MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
FULL: Final = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
FINAL: Final = (
    asyncssh.SFTPBadMessage,
    asyncssh.SFTPFailure,
    asyncssh.SFTPOpUnsupported,
    asyncssh.SFTPFileIsADirectory,
    asyncssh.SFTPInvalidFilename,
    asyncssh.SFTPLinkLoop,
)
"""What the same request would be told again."""


class Session:
    """A connection, and SFTP over it; paths are bytes."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, files: asyncssh.SFTPClient
    ) -> None:
        self._connection = connection
        self.files = files

    @property
    def usable(self) -> bool:
        return not self._connection.is_closed()

    def close(self) -> None:
        self._connection.abort()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()


@asynccontextmanager
async def told(shown: str, what: str, seconds: float | None = None) -> AsyncGenerator[None]:
    """Errors of SFTP as our own; `what` is being done, and takes no longer than that."""
    try:
        async with asyncio.timeout(seconds):
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
    except TimeoutError as error:
        raise Unavailable(f"{shown}: cannot {what}: no answer in {seconds:g} s") from error
    except (OSError, asyncssh.Error) as error:
        raise Unavailable(f"{shown}: cannot {what}: {error}") from error


async def logged_in(settings: Settings, login: Login) -> Session:
    """Raises `Denied` before the host is asked anything where its key is not known."""
    where = login.host if login.port == PORT else f"{login.host}:{login.port}"
    known = await asyncio.to_thread(_known_hosts, settings, login, where)
    key = await asyncio.to_thread(_key, login)
    seconds = settings.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
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
                return Session(connection, await connection.start_sftp_client(None))
            except BaseException:
                connection.abort()
                raise
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
