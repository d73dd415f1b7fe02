"""What the stores that speak HTTP have in common: what statuses and headers mean."""

import base64
import binascii
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Protocol

from msgspec import DecodeError, json

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.url import redacted, secrets_in, silenced
from funnel.net.client import Unsayable
from funnel.net.incoming import Piece
from funnel.ports import Object, Reading
from funnel.storage.patience import Changed

PIECE: Final = 1 << 20
REASON: Final = 4096
"""Bytes of an answer in which its reason is looked for."""
LONGEST: Final = 200
"""Characters of a reason that are shown."""
PASSING: Final = frozenset({408, 421, 423, 425, 429})
FOR_EVER: Final = frozenset({501, 505})
"""Of those above 500: what another try does not change."""
KINDS: Final[Mapping[int, type[FunnelError]]] = {
    401: Denied,
    403: Denied,
    407: Denied,
    404: NotFound,
    410: NotFound,
    412: Exists,
    416: Changed,
    507: NoSpace,
}
PART: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
REASONS: Final = ("message", "msg", "error_description", "error")
WORDS: Final = re.compile(rb"<(?:Message|title)>([^<]{1,200})</", re.IGNORECASE)
SUMS: Final[Mapping[str, str]] = {
    "md5": "md5",
    "sha": "sha1",
    "sha-256": "sha256",
    "sha-512": "sha512",
}
"""Names that HTTP has for checksums, and those of `hashlib`."""


class Content(Protocol):
    """What comes with an answer."""

    def iter_any(self) -> AsyncIterator[Piece]: ...

    async def read(self, most: int = ..., /) -> bytes: ...


class Answer(Protocol):
    """Of `funnel.net.client`, or of aiohttp."""

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def headers(self) -> Any:
        """By their names in whatever case."""
        ...

    @property
    def content(self) -> Content: ...


async def refusal(
    answer: Answer, url: str, deed: str, check: str = "", secrets: Sequence[str] = ()
) -> FunnelError:
    """
    What an answer that is none of success means: to be raised.

    The `deed` is as in "reading"; `check` says what to look at where access is refused. An answer
    may repeat the `secrets` that it was told, and those of the URL.
    """
    status = answer.status
    kind = KINDS.get(status, Unavailable if _may_pass(status) else Invalid)
    hidden = [*secrets, *secrets_in(url)]
    # Before it is cut: of a secret not even the beginning is shown.
    reason = silenced(_reason(await _beginning(answer)), hidden)[:LONGEST]
    told = [f"{deed} was answered {status} {answer.reason or ''}".rstrip()]
    told += [reason] if reason and reason != f"{status} {answer.reason}" else []
    words = [f"{redacted(url)}: {silenced('; '.join(told), hidden)}"]
    words += [check] if check and kind is Denied else []
    error = kind("; ".join(words))
    error.retry_after = retry_after(answer.headers)
    return error


@contextmanager
def heard(url: str, deed: str, check: str = "") -> Generator[None]:
    """Around what a client does: its failures become ours, which name the URL and the `deed`."""
    try:
        yield
    except Denied as error:
        if redacted(url) in str(error):
            raise
        raise Denied(f"{redacted(url)}: {error}") from error
    except FunnelError:
        raise
    except _failures() as error:
        raise _meaning(error, f"{redacted(url)}: {deed} failed", check) from error


def _meaning(error: BaseException, what: str, check: str) -> FunnelError:
    if isinstance(error, ssl.SSLError):
        return Denied(f"{what}: {_said(error)}; {check or 'look at the certificate'}")
    if isinstance(error, Unsayable):
        return Invalid(f"{what}: {error}")
    if isinstance(error.__cause__, (socket.gaierror, UnicodeError)):
        number = getattr(error.__cause__, "errno", socket.EAI_NONAME)
        kind = NotFound if number == socket.EAI_NONAME else Unavailable
        return kind(f"{what}: {_said(error)}")
    return Unavailable(f"{what}: {_said(error)}")


def _failures() -> tuple[type[Exception], ...]:
    """Those of aiohttp too, where something has loaded it."""
    loaded: Any = sys.modules.get("aiohttp")
    return (OSError, Unsayable, *([loaded.ClientError] if loaded else []))


async def pieces_of(answer: Answer, url: str) -> AsyncIterator[Piece]:
    """The content of an answer, as it comes."""
    with heard(url, "reading"):
        # Whatever has gathered costs less than pieces of one size.
        async for piece in answer.content.iter_any():
            yield piece


def ranged(start: int, end: int | None) -> Mapping[str, str]:
    """
    The header that asks for a part; none for the whole.

    >>> ranged(5, None), ranged(0, 9), ranged(0, None)
    ({'Range': 'bytes=5-'}, {'Range': 'bytes=0-8'}, {})
    """
    if not start and end is None:
        return {}
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}"}


def part_of(headers: Mapping[str, str]) -> tuple[int, int]:
    """
    Where the part begins that has come, and the size of the whole; -1 for what is not said.

    >>> part_of({"Content-Range": "bytes 5-8/10"}), part_of({"Content-Range": "bytes */10"})
    ((5, 10), (-1, 10))
    >>> part_of({"Content-Range": "bytes 5-8/*"}), part_of({})
    ((5, -1), (-1, -1))
    """
    found = PART.fullmatch(headers.get("Content-Range", ""))
    start, size = found.groups() if found else (None, "*")
    return int(start) if start else -1, -1 if size == "*" else int(size)


def size_of(answer: Answer) -> int:
    """Bytes of the whole, of which a part may have come; -1 where nobody knows."""
    if answer.status == 206:
        return part_of(answer.headers)[1]
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else -1


def reading(answer: Answer, found: Object) -> Reading:
    """Of a store that gives parts. Raises `Unavailable` where it does not say which one."""
    start = part_of(answer.headers)[0] if answer.status == 206 else 0
    if start < 0:
        raise Unavailable(f"{redacted(found.url)}: a part has come, and nobody says which one")
    return Reading(found=found, start=start, pieces=pieces_of(answer, found.url))


def retry_after(headers: Mapping[str, str]) -> float:
    """
    Seconds that the server asks to wait; a date is counted from when the answer was made.

    >>> retry_after({"Retry-After": "7"})
    7.0
    >>> retry_after({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT",
    ...              "Date": "Fri, 31 Dec 1999 23:59:29 GMT"})
    30.0
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    until, now = date_of(asked), date_of(headers.get("Date", ""))
    return max(0.0, (until - now).total_seconds()) if until and now else 0.0


@lru_cache
def date_of(text: str) -> datetime | None:
    """
    As HTTP writes them.

    >>> date_of("Fri, 31 Dec 1999 23:59:59 GMT").isoformat(), date_of("yesterday")
    ('1999-12-31T23:59:59+00:00', None)
    """
    with suppress(ValueError, TypeError, OverflowError):
        # It takes long to load, and a list of an object store has no such dates.
        found: datetime = import_module("email.utils").parsedate_to_datetime(text)
        return found if found.tzinfo else None
    return None


def checksums_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """
    Of the content, by their names in `hashlib`: Content-MD5, Digest and Repr-Digest.

    >>> checksums_of({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    {'md5': 'd41d8cd98f00b204e9800998ecf8427e'}
    >>> checksums_of({"Repr-Digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, crc32c=:AAAAAA==:"})
    {'md5': 'd41d8cd98f00b204e9800998ecf8427e'}
    """
    given = [("md5", headers.get("Content-MD5", ""))]
    for one in f"{headers.get('Digest', '')},{headers.get('Repr-Digest', '')}".split(","):
        name, _, text = one.strip().partition("=")
        given.append((name.lower(), text.strip(":")))
    found = {SUMS[name]: _hexadecimal(text) for name, text in given if name in SUMS}
    return {name: text for name, text in found.items() if text}


def _hexadecimal(text: str) -> str:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(text, validate=True).hex()
    return ""


def _may_pass(status: int) -> bool:
    return status in PASSING or (status >= 500 and status not in FOR_EVER)


def _said(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        # As what connects says it, nobody would find it in a search.
        return f"connection refused: {error.strerror}"
    return str(error) or type(error).__name__


async def _beginning(answer: Answer) -> bytes:
    with suppress(*_failures()):
        return await answer.content.read(REASON)
    return b""


def _reason(body: bytes) -> str:
    """
    What the store itself says; no more of its answer, which may repeat what was sent.

    >>> _reason(b'<Error><Code>X</Code><Message>Request has expired</Message></Error>')
    'Request has expired'
    >>> _reason(b'{"msg": "no such object", "status_code": 404}')
    'no such object'
    >>> _reason(b'{"error": {"code": 403, "message": "no access to the object"}}')
    'no access to the object'
    """
    found: Any = None
    if (words := WORDS.search(body)) is not None:
        found = words[1].decode(errors="replace")
    elif body.lstrip().startswith(b"{"):
        with suppress(DecodeError):
            told = json.decode(body)
            told = told["error"] if isinstance(told.get("error"), dict) else told
            found = next((told[key] for key in REASONS if key in told), None)
    text = " ".join(found.split()) if isinstance(found, str) else ""
    return "".join(one for one in text if one.isprintable())
