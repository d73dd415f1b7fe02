"""The settings of FTP, and who logs in where."""

from datetime import timedelta
from typing import Final

from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.storage.address import Address

SCHEMES: Final = ("ftp://", "ftps://")
ANONYMOUS: Final = "anonymous"
PORT: Final = 21
IMPLICIT: Final = 990
"""Where TLS begins with the first byte."""


class Account(Value, kw_only=True):
    """A login for one host."""

    host: str = ""
    user: str = ""
    """Empty: FTPStorage.User, with its password."""
    password: Secret = Secret()


class Settings(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """Files at servers that speak FTP. Where they may be is said by Outbound."""

    disabled: bool = False
    timeout: timedelta = timedelta(seconds=10)
    """For a connection, and for one answer; a file may take as long as it comes."""
    user: str = ANONYMOUS
    """Who logs in where a URL has no user; any but anonymous at the hosts in `Hosts` only."""
    password: Secret = Secret(ANONYMOUS)
    hosts: tuple[Account, ...] = ()
    """Those that are told a user and password of ours."""
    ca_file: str = ""
    """Certificates to trust for ftps://; empty: those of the system."""
    max_connections: Some = 16
    """To one host as one user."""


class Login(Value, kw_only=True):
    """A user at a host."""

    host: str
    port: int
    tls: bool
    user: str
    password: Secret

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"


def login(settings: Settings, at: Address) -> Login:
    """A password of ours goes to the hosts that the settings name, and to no other."""
    user, password = _account(settings, at)
    return Login(
        host=at.host,
        port=at.port or PORT,
        tls=at.scheme == "ftps",
        user=user,
        password=password,
    )


def _account(settings: Settings, at: Address) -> tuple[str, Secret]:
    if at.user and at.password is not None:
        return at.user, at.password
    for one in settings.hosts:
        user, password = (
            (one.user, one.password) if one.user else (settings.user, settings.password)
        )
        if one.host.lower() == at.host and at.user in {"", user}:
            return user, password
    if at.user:
        return at.user, Secret()
    return ANONYMOUS, Secret(ANONYMOUS)
