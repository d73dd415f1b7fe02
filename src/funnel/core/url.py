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
WITH_LOGIN: Final = frozenset({"http", "https", "ftp", "ftps", "sftp"})
USUAL_PORTS: Final = frozenset({"21", "22", "80", "443", "990", "8000", "8080", "8443", "9000"})
"""No password is likely to begin with one of them and a slash."""
HIGHEST_PORT: Final = 65_535
_AUTHORITY: Final = re.compile(r"[^/]*")
_AUTHORITY_BEFORE_QUERY: Final = re.compile(r"[^/?]*")
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?")
_LOGIN: Final = re.compile(r"(?P<name>[^:/@.]*):(?P<port>[0-9]{1,5})/.*@", re.DOTALL)
ASKED: Final = re.compile("[?#]")
"""Where the address of a web page ends."""
_GIVEN: Final = re.compile(
    r"(?:(?<=basic )|(?<=bearer )|(?<=\?)|(?<=#)(?=[^\s=]+=))\S+", re.IGNORECASE
)


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
    is_host = _is_host(authority.rpartition("@")[2])
    login, at, _ = (authority if is_host else rest).rpartition("@")
    return Parts(scheme, login, at, rest[len(login + at) :])


def suspected(url: str) -> Parts:
    """
    As it may be shown: what could be a host and its port, or a user and half of a password, is
    taken for these. A host with a dot in its name, and a port that many servers have, are no doubt.

    >>> suspected("ftp://me:12/b@host/x").shown, suspected("ftp://me.org:12/b@host/x").shown
    ('ftp://me@host/x', 'ftp://me.org:12/b@host/x')
    """
    found = parted(url)
    if found.at or found.scheme.lower() not in WITH_LOGIN:
        return found
    page = ASKED.split(found.rest, maxsplit=1)[0] if found.has_query else found.rest
    maybe = _LOGIN.match(page)
    if not maybe or maybe["name"].lower() == "localhost" or maybe["port"] in USUAL_PORTS:
        return found
    return Parts(found.scheme, maybe[0][:-1], "@", found.rest[maybe.end() :])


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
    The URL without what gives access: a password, or the query or fragment of a web address.

    >>> redacted("ftp://me:secret@host/a"), redacted("https://h/a?Signature=x"), redacted("/a?b")
    ('ftp://me@host/a', 'https://h/a?…', '/a?b')
    >>> redacted("https://h/a#token=x")
    'https://h/a#…'
    """
    url = url.encode(errors="backslashreplace").decode()
    if "://" not in url:
        return url
    found = suspected(url)
    asked = ASKED.search(found.shown) if found.has_query else None
    return f"{found.shown[: asked.end()]}…" if asked else found.shown


def password_in(url: str) -> str:
    """As it is written; empty where there is none."""
    return parted(url).login.partition(":")[2]


def secrets_in(url: str) -> Iterable[str]:
    """
    What a text about the URL must not repeat: its password, and what its query and fragment say.

    >>> list(secrets_in("ftp://me:a%40b@host/x?sig=abcde&n=1#token=fghij"))
    ['a%40b', 'a@b', 'abcde', 'fghij']
    """
    found = suspected(url)
    password, asked = found.login.partition(":")[2], ASKED.split(found.rest, maxsplit=1)[1:]
    yield from (password, unquote(password)) if password else ()
    pairs = (pair for text in asked for one in text.split("#") for pair in parse_qsl(one))
    yield from (value for _, value in pairs if len(value) >= SHORTEST)


def silenced(text: str, secrets: Iterable[str] = ()) -> str:
    """
    What somebody says, without what he was told: these secrets, logins, and the queries of URLs.

    >>> silenced("no pw, Basic dTpw and /a?sig=x", ["pw"])
    'no ***, Basic *** and /a?***'
    """
    for one in filter(None, secrets):
        text = text.replace(one, HIDDEN)
    return _GIVEN.sub(HIDDEN, text)


def _is_host(text: str) -> bool:
    """With or without a port."""
    found = _HOST.fullmatch(text)
    return bool(found and int((found[2] or ":0")[1:]) <= HIGHEST_PORT)
