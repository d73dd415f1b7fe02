"""Amazon's signature, version 4, in the headers of a request."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from funnel.core.secret import Secret
from funnel.core.value import Value

UNRESERVED: Final = "-_.~"
NOTHING: Final = hashlib.sha256().hexdigest()
"""Of an empty body."""


NO_SECRET: Final = Secret()


class Keys(Value):
    """What opens a store, until then."""

    key: str
    secret: Secret
    token: Secret = NO_SECRET
    until: datetime | None = None


class Request(Value, kw_only=True):
    """`path` is quoted already; `body` is the hexadecimal SHA-256 of the body."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str = NOTHING


def quoted(path: str) -> str:
    return quote(path, safe=f"/{UNRESERVED}", errors="surrogateescape")


def queried(query: Mapping[str, str]) -> str:
    """
    In the order and with the quotes that are signed.

    >>> queried({"uploads": "", "prefix": "a b/ü"})
    'prefix=a%20b%2F%C3%BC&uploads='
    """
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    request: Request, keys: Keys, region: str, now: datetime, *, service: str = "s3"
) -> dict[str, str]:
    """The headers of the request, with those that say who sends it."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {**request.headers, "x-amz-date": stamp, "x-amz-content-sha256": request.body}
    if keys.token:
        headers["x-amz-security-token"] = keys.token.reveal()
    counted = sorted((("host", request.host), *_of_amazon(headers)))
    names = ";".join(name for name, _ in counted)
    lines = (
        request.method,
        request.path,
        queried(request.query) if request.query else "",
        *(f"{name}:{value}" for name, value in counted),
        "",
        names,
        request.body,
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signing = _keyed(keys.secret, stamp[:8], region, service).copy()
    signing.update(text.encode())
    signature = signing.hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names},"
        f" Signature={signature}"
    )
    return headers


def _of_amazon(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if (known := name.lower()).startswith("x-amz-"):
            yield known, " ".join(value.split())


@lru_cache(maxsize=64)
def _keyed(secret: Secret, day: str, region: str, service: str) -> hmac.HMAC:
    """To be copied: `hmac.digest` would let a thread take the interpreter each time."""
    key = f"AWS4{secret.reveal()}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")


def _quoted(text: str) -> str:
    return quote(text, safe=UNRESERVED, errors="surrogateescape")
