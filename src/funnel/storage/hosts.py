"""What the settings say of single hosts: who we are there, and whom we believe to be there."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from funnel.core.error import Unavailable
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.net.web import Terms, basic

if TYPE_CHECKING:
    from yarl import URL


class WebHost(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """One host, and what is shown to it alone."""

    host: str = ""
    """As in example.org, or example.org:8443 where the port is not that of the scheme."""
    user: str = ""
    password: Secret = Secret()
    password_file: str = ""
    token: Secret = Secret()
    """Sent as a bearer token, in place of a user and password."""
    token_file: str = ""
    ca_file: str = ""
    """Who issues its certificate, in PEM; empty: those that every program believes."""
    plain_text: bool = False
    """Show them over http:// too, where others may listen."""
    uploads: bool = False
    """Let tasks store files there, with these credentials."""


class Hosts:
    """Answers `net.web.Origins`."""

    def __init__(self, known: Mapping[str, tuple[WebHost, Terms]]) -> None:
        self._known = known

    @classmethod
    async def read(cls, hosts: Iterable[WebHost], setting: str) -> Self:
        """With what is in files. Raises `Unavailable`, which names the `setting`."""
        some = tuple(hosts)
        return cls(await asyncio.to_thread(_read, some, setting) if some else {})

    def __call__(self, url: "URL") -> Terms:
        host, terms = self._known.get(_name(url), (None, Terms()))
        if host and url.scheme == "http" and not host.plain_text:
            return Terms()
        return terms

    def about(self, url: "URL") -> WebHost | None:
        return self._known[_name(url)][0] if _name(url) in self._known else None


def _read(hosts: tuple[WebHost, ...], setting: str) -> dict[str, tuple[WebHost, Terms]]:
    found: dict[str, tuple[WebHost, Terms]] = {}
    for one in hosts:
        if not one.host:
            raise Unavailable(f"{setting} has an entry without its Host; name it")
        try:
            found[one.host.lower()] = one, _terms(one)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{setting}: a file for {one.host} is of no use: {error}") from error
    return found


def _terms(host: WebHost) -> Terms:
    token, password = revealed(host.token, host.token_file), ""
    headers = dict[str, str]()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif host.user:
        password = revealed(host.password, host.password_file)
        headers["Authorization"] = basic(host.user, password)
    return Terms(
        headers=headers,
        tls=ssl.create_default_context(cafile=host.ca_file) if host.ca_file else None,
    )


def revealed(given: Secret, file: str) -> str:
    """A secret that is written, or in a file. Blocks; raises `OSError`."""
    return Path(file).read_text().strip() if file else given.reveal()


def _name(url: "URL") -> str:
    """As the settings write it."""
    host = (url.raw_host or "").lower().rstrip(".")
    host = f"[{host}]" if ":" in host else host
    return host if url.is_default_port() else f"{host}:{url.port}"
