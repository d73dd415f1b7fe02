"""Requests to URLs that others name."""

import base64
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from msgspec.structs import replace

from funnel.core.error import Denied, Invalid
from funnel.core.reach import Reach
from funnel.core.url import objection, redacted
from funnel.core.value import Value
from funnel.net.client import Answer, Client, Origin
from funnel.net.connection import Body
from funnel.net.guard import literal

if TYPE_CHECKING:
    from yarl import URL

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MOST: Final = 5
"""Redirects of one request."""
LEGAL: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%"
)


class Terms(Value, kw_only=True):
    """How one origin is spoken to: `headers` with what gives access there, and whom to believe."""

    headers: Mapping[str, str] = {}
    tls: ssl.SSLContext | None = None
    """None: whom every program believes."""


Origins: TypeAlias = "Callable[[URL], Terms]"
"""Asked about each URL that a request leads to, so that nothing goes to another host."""


class Web:
    """
    Asks at URLs that users name, and where those lead.

    Redirects are followed by us, and each is judged as the first URL was.
    """

    def __init__(self, client: Client, reach: Reach, origins: Origins) -> None:
        self._client = client
        self._reach = reach
        self._origins = origins

    @asynccontextmanager
    async def answered(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None
    ) -> AsyncGenerator[Answer]:
        """
        The answer, whatever its status; of a redirect, where there is a body, as of any other.

        Raises `Denied` where it may not go, `Invalid` for a URL that is none, and what
        `Client.request` does.
        """
        target = self._judged(parsed(url))
        for _ in range(MOST + 1):
            terms = self._origins(target)
            told = {**_of_user(target), **terms.headers, **headers}
            asking = self._client.request(
                method, origin_of(target, terms.tls), target.raw_path_qs, told, body
            )
            async with asking as answer:
                where = answer.headers.get("Location", "")
                if answer.status not in REDIRECTS or not where or body is not None:
                    yield answer
                    return
            target = self._judged(_onward(target, where))
        raise Invalid(f"{redacted(url)} leads on and on: more than {MOST} redirects")

    def showing(self, headers: Mapping[str, str], url: "URL") -> "Web":
        """The same, which shows these to the host of the URL, and to no other."""

        def origins(target: "URL") -> Terms:
            terms = self._origins(target)
            if target.origin() != url.origin():
                return terms
            return replace(terms, headers={**terms.headers, **headers})

        return Web(self._client, self._reach, origins)

    def _judged(self, url: "URL") -> "URL":
        """Addresses are not asked for, so those that are written are judged here."""
        host = url.raw_host or ""
        address = literal(host.rstrip("."))
        self._reach.judge_host(str(address or host))
        if address is None:
            return url
        self._reach.judge_address(address)
        return url.with_host(str(address))


def origin_of(url: "URL", tls: ssl.SSLContext | None = None) -> Origin:
    """Of a URL that has a host."""
    return Origin(url.scheme, url.raw_host or "", url.port or 0, tls)


def parsed(url: str) -> "URL":
    """
    As it is written, where it can be: a signature may be over each character of it.

    Raises `Invalid`, and `Denied` for another scheme.
    """
    if wrong := objection(url):
        raise Invalid(f"{redacted(url)} {wrong}")
    try:
        found = _read(url)
        # Both must read the same in it.
        agreed = (urlsplit(str(found)).hostname or "") == (found.raw_host or "").lower()
        _ = found.port
    except ValueError:
        raise Invalid(f"{redacted(url)} is not a URL: check its host and port") from None
    if found.scheme not in {"http", "https"}:
        raise Denied(f"{redacted(url)} is neither http:// nor https://")
    if not found.raw_host or not agreed or found.port == 0:
        raise Invalid(f"{redacted(url)} names no host; write https://host/path")
    return found.with_fragment(None)


def _onward(url: "URL", where: str) -> "URL":
    """Of a redirect, which may name only what is different."""
    try:
        if urlsplit(where).scheme:
            return parsed(where)
        return parsed(str(url.with_user(None).join(_read(where))))
    except ValueError:
        raise Invalid(f"{redacted(str(url))} leads to what is not a URL") from None


def _read(url: str) -> "URL":
    """Raises `ValueError`."""
    # It takes long to load, and few commands are given a URL of the web.
    found: URL = import_module("yarl").URL(url, encoded=LEGAL.issuperset(url))
    return found


def _of_user(url: "URL") -> Mapping[str, str]:
    """A name and a password in the URL itself."""
    if url.user is None:
        return {}
    return {"Authorization": basic(url.user, url.password or "")}


def basic(user: str, password: str) -> str:
    """
    What the header `Authorization` says of a login.

    >>> basic("Aladdin", "open sesame")
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
    """
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
