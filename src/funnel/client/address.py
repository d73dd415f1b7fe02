"""Where a server is, from what people write."""

from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from funnel.core.error import Invalid
from funnel.core.secret import Secret
from funnel.core.value import Value

DEFAULT: Final = "http://localhost:8000"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Address(Value, kw_only=True):
    """`base` is what the routes of TES are appended to, as in http://host:8000/v1."""

    base: str
    shown: str
    """Without the base path and without a password."""
    user: str = ""
    password: Secret = Secret()
    token: Secret = Secret()
    ca_file: str = ""
    """The authorities to trust for https, in PEM, instead of those of the system."""
    local: bool = False

    @property
    def private(self) -> bool:
        """Whether nobody can read on the way what is said."""
        return self.base.startswith("https:")


def address(text: str) -> Address:
    """
    A server from host:port or a URL; a path that ends in /v1 is taken as it is.

    >>> address("localhost:8000").base, address("https://tes.example/ga4gh/tes/v1/").base
    ('http://localhost:8000/v1', 'https://tes.example/ga4gh/tes/v1')
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"{text!r} is not the address of a server: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise Invalid(f"cannot talk to {text!r}: use http:// or https://, not {parts.scheme}://")
    if not host:
        raise Invalid(f"{text!r} is not the address of a server, write http://host:port")
    name = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{name}{f':{port}' if port else ''}"
    return Address(
        base=shown + _path(parts),
        shown=shown,
        user=unquote(parts.username or ""),
        password=Secret(unquote(parts.password or "")),
        local=host in LOOPBACK,
    )


def _path(parts: SplitResult) -> str:
    path = parts.path.rstrip("/").removesuffix("/tasks")
    return path if path.endswith("/v1") else f"{path}/v1"
