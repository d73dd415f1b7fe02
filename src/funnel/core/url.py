"""URLs as they may be shown, and what others say of them."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, unquote

from funnel.core.secret import HIDDEN

SHORTEST: Final = 4
"""Characters of a parameter that may be a secret; what is shorter would be found in any word."""
_GIVEN: Final = re.compile(r"(?:(?<=basic )|(?<=bearer )|(?<=\?))\S+", re.IGNORECASE)


def redacted(url: str) -> str:
    """
    The URL without what gives access: a password, or the query of a signed web address.

    >>> redacted("ftp://me:secret@host/a"), redacted("https://h/a?Signature=x"), redacted("/a?b")
    ('ftp://me@host/a', 'https://h/a?…', '/a?b')
    """
    url = url.encode(errors="backslashreplace").decode()
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if scheme.lower() in {"http", "https"}:
        rest, asked, _ = rest.partition("?")
        rest += "?…" if asked else ""
    host, slash, path = rest.partition("/")
    user, at, name = host.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{name}{slash}{path}"


def secrets_in(url: str) -> Iterable[str]:
    """
    What a text about the URL must not repeat: its password, and what its query says.

    >>> list(secrets_in("ftp://me:a%40b@host/x?sig=abcde&n=1"))
    ['a%40b', 'a@b', 'abcde']
    """
    rest, _, query = url.partition("://")[2].partition("?")
    password = rest.partition("/")[0].rpartition("@")[0].partition(":")[2]
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
