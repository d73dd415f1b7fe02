"""URLs as they may be shown, and what others say of them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from funnel.core.secret import HIDDEN

SHORTEST: Final = 4
"""Characters of a parameter that may be a secret; what is shorter would be found in any word."""
WITH_QUERY: Final = frozenset({"http", "https"})
WITHOUT_LOGIN: Final = frozenset({"swift"})
"""Schemes whose first part may have a colon in it."""
_AUTHORITY: Final = re.compile(r"[^/]*")
_AUTHORITY_BEFORE_QUERY: Final = re.compile(r"[^/?]*")
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?")
_GIVEN: Final = re.compile(r"(?:(?<=basic )|(?<=bearer )|(?<=\?))\S+", re.IGNORECASE)


class Parts(NamedTuple):
    """A URL, cut at who logs in there; `scheme://login@rest`."""

    scheme: str
    login: str
    at: str
    rest: str

    @property
    def has_query(self) -> bool:
        return self.scheme.lower() in WITH_QUERY

    @property
    def shown(self) -> str:
        """All but the password."""
        return f"{self.scheme}://{self.login.partition(':')[0]}{self.at}{self.rest}"


def parted(url: str) -> Parts:
    """
    Of a URL that has `://`. Where the host could be none, somebody has written a password with a
    slash in it, and all up to the last `@` is taken for the login.

    >>> parted("ftp://me:a/b@host/x@y").login, parted("s3://bucket:80/x@y").login
    ('me:a/b@host/x', '')
    """
    scheme, _, rest = url.partition("://")
    if "@" not in rest:
        return Parts(scheme, "", "", rest)
    ends = _AUTHORITY_BEFORE_QUERY if scheme.lower() in WITH_QUERY else _AUTHORITY
    authority = (ends.match(rest) or [""])[0]
    is_host = _HOST.fullmatch(authority.rpartition("@")[2])
    login, at, _ = (authority if is_host else rest).rpartition("@")
    return Parts(scheme, login, at, rest[len(login + at) :])


def objection(url: str) -> str:
    """
    What is wrong with the login in a URL, which programs would take for a host; empty for nothing.

    >>> objection("ftp://me:a%2Fb@host/x"), objection("ftp://me:a/b@host/x")[:22]
    ('', 'has a password with a ')
    """
    if "@" not in url or url.startswith("/"):
        return ""
    found = parted(url)
    ends = "/?" if found.has_query else "/"
    if found.scheme.lower() in WITHOUT_LOGIN or not {*ends} & {*found.login}:
        return ""
    return "has a password with a / or ? in it, or a port that is no number; write %2F and %3F"


@lru_cache(256)
def redacted(url: str) -> str:
    """
    The URL without what gives access: a password, or the query of a signed web address.

    >>> redacted("ftp://me:secret@host/a"), redacted("https://h/a?Signature=x"), redacted("/a?b")
    ('ftp://me@host/a', 'https://h/a?…', '/a?b')
    """
    url = url.encode(errors="backslashreplace").decode()
    if "://" not in url:
        return url
    found = parted(url)
    shown, asked, _ = found.shown.partition("?") if found.has_query else (found.shown, "", "")
    return f"{shown}?…" if asked else shown


def password_in(url: str) -> str:
    """As it is written; empty where there is none."""
    return parted(url).login.partition(":")[2]


def secrets_in(url: str) -> Iterable[str]:
    """
    What a text about the URL must not repeat: its password, and what its query says.

    >>> list(secrets_in("ftp://me:a%40b@host/x?sig=abcde&n=1"))
    ['a%40b', 'a@b', 'abcde']
    """
    password, query = password_in(url), parted(url).rest.partition("?")[2]
    yield from (password, unquote(password)) if password else ()
    yield from (value for _, value in parse_qsl(query) if len(value) >= SHORTEST)


def silenced(text: str, secrets: Iterable[str] = ()) -> str:
    """
    What somebody says, without what he was told: these secrets, logins, and the queries of URLs.

    >>> silenced("no pw, Basic dTpw and /a?sig=x", ["pw"])
    'no ***, Basic *** and /a?***'
    """
    for one in filter(None, secrets):
        text = text.replace(one, HIDDEN)
    return _GIVEN.sub(HIDDEN, text)
