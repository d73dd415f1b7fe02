"""The settings of SFTP, and who logs in where."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from funnel.core.error import Denied
from funnel.core.secret import Secret
from funnel.core.value import Some, Value
from funnel.storage.address import Address

SCHEMES: Final = ("sftp://",)
PORT: Final = 22


class Account(Value, kw_only=True, rename="pascal"):
    """A login for one host."""

    host: str = ""
    user: str = ""
    password: Secret = Secret()
    key_file: str = ""
    """A private key without a passphrase."""


class Settings(Value, kw_only=True, rename="pascal"):
    """Files at servers that speak SFTP."""

    disabled: bool = False
    user: str = ""
    """Who logs in where a URL has no user, and `Hosts` have none for its host."""
    password: Secret = Secret()
    key_file: str = ""
    """A private key of the user, in a form of OpenSSH, without a passphrase."""
    known_hosts_file: str = ""
    """The keys of the hosts that may be reached, as of `ssh-keyscan HOST`; without it, none may."""
    hosts: tuple[Account, ...] = ()
    """Users and keys of single hosts."""
    timeout: timedelta = timedelta(seconds=30)
    """For a login, and for one answer."""
    max_connections: Some = 16
    """To one host as one user."""


class Login(Value, kw_only=True):
    """A user at a host, with a password or the file of a key, or both."""

    host: str
    port: int
    user: str
    password: Secret = Secret()
    key_file: str = ""


def login(settings: Settings, at: Address) -> Login:
    """
    A key or password of ours is for the user and the host that the settings have it for.

    Raises `Denied` where there is none.
    """
    where = at.host, at.port or PORT
    if at.user and at.password is not None:
        return Login(host=where[0], port=where[1], user=at.user, password=at.password)
    for one in _accounts(settings, at.host):
        if at.user in {"", one.user}:
            return Login(
                host=where[0],
                port=where[1],
                user=one.user,
                password=one.password,
                key_file=one.key_file,
            )
    if at.user:
        raise Denied(
            f"{at.url}: there is no key or password for user {at.user}; see SFTPStorage.User and"
            " SFTPStorage.Hosts"
        )
    raise Denied(f"{at.url} has no user, and there is none in SFTPStorage.User or .Hosts")


def _accounts(settings: Settings, host: str) -> Iterator[Account]:
    yield from (one for one in settings.hosts if one.host.lower() == host and one.user)
    if settings.user:
        yield Account(user=settings.user, password=settings.password, key_file=settings.key_file)
