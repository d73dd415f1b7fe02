"""URLs of file servers: who logs in where, and a path."""

from typing import Final
from urllib.parse import unquote, urlsplit

from funnel.core.error import Invalid
from funnel.core.path import parts, text
from funnel.core.secret import Secret
from funnel.core.url import redacted
from funnel.core.value import Value

FORBIDDEN: Final = frozenset("\0\r\n")


class Address(Value, kw_only=True):
    """
    What a URL such as ftp://user:password@host:port/path says.

    User and password are percent-decoded; the path is taken as it is written, from its slash on.
    `port` is 0 and `user` empty where the URL has none, `password` None.
    """

    url: str
    """Without its password, to be shown."""
    scheme: str
    host: str
    port: int = 0
    user: str = ""
    password: Secret | None = None
    path: str


def address(url: str) -> Address:
    """Raises `Invalid` for a URL that names no file of a host."""
    shown = redacted(url)
    scheme, _, rest = url.partition("://")
    authority, slash, name = rest.partition("/")
    if FORBIDDEN & {*url}:
        raise Invalid(f"{shown!r} has a character that cannot be sent")
    if not authority or not name.strip("/"):
        raise Invalid(f"{shown} names no file; write {scheme}://host/path")
    if ".." in parts(name):
        raise Invalid(f"{shown} has the part '..'; write where it leads to")
    login, at, where = authority.rpartition("@")
    if FORBIDDEN & {*unquote(login)}:
        raise Invalid(f"{shown}: its user or password has a character that cannot be sent")
    user, colon, password = login.partition(":")
    host, port = _where(where, shown)
    return Address(
        url=shown,
        scheme=scheme,
        host=host,
        port=port,
        user=unquote(user) if at else "",
        password=Secret(unquote(password)) if colon else None,
        path=text(parts(name)) + ("/" if slash and name.endswith("/") else ""),
    )


def _where(text: str, shown: str) -> tuple[str, int]:
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname, found.port
    except ValueError:
        raise Invalid(
            f"{shown} names no host: check its port, and [] around an IPv6 address"
        ) from None
    if not host or text.strip() != text or set(text) & set("?#\\% "):
        raise Invalid(f"{shown} names no host; write it as in host, host:port or [::1]:port")
    return host, port or 0
