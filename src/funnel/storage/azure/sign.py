"""Azure's signature with the key of an account, in the headers of a request."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

VERSION: Final = "2022-11-02"
"""Of the interface; its oldest one that has all that is asked for here."""
SIGNED: Final = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type"),
    *("Date", "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` is quoted already, and begins with a slash; `headers` are all of them."""

    method: str
    account: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


def stamped(headers: Mapping[str, str], now: datetime) -> dict[str, str]:
    """With what each request has, signed or not."""
    return {**headers, "x-ms-date": format_datetime(now, usegmt=True), "x-ms-version": VERSION}


def authorization(request: Request, key: bytes) -> str:
    """What the header of this name says."""
    seal = hmac.digest(key, _signed_text(request).encode(), hashlib.sha256)
    return f"SharedKey {request.account}:{base64.b64encode(seal).decode()}"


def _signed_text(request: Request) -> str:
    """
    One line for each thing that is signed.

    >>> headers = {"x-ms-version": "1", "Content-Length": "0", "Range": "bytes=0-1"}
    >>> request = Request(
    ...     method="GET", account="me", path="/c/a%20b", query={"comp": "x"}, headers=headers)
    >>> _signed_text(request).split("\\n")[11:]
    ['bytes=0-1', 'x-ms-version:1', '/me/c/a%20b', 'comp:x']
    """
    said = {**request.headers}
    if said.get("Content-Length") == "0":
        del said["Content-Length"]
    ours = sorted((name, one) for name, one in said.items() if name.startswith("x-ms-"))
    asked = sorted(request.query.items())
    return "\n".join(
        (
            request.method,
            *(said.get(name, "") for name in SIGNED),
            *(f"{name}:{one}" for name, one in ours),
            f"/{request.account}{request.path}",
            *(f"{name}:{one}" for name, one in asked),
        )
    )
