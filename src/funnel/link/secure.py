"""Who a worker believes to be its server, and what it shows of itself."""

from pathlib import Path
from typing import Final

import grpc

from funnel.core.error import Invalid

SECURE: Final = "https://"


def plain(address: str) -> str:
    """
    Without what says that TLS is spoken there.

    >>> plain("https://tes.example:9090"), plain("localhost:9090")
    ('tes.example:9090', 'localhost:9090')
    """
    return address.removeprefix(SECURE).removeprefix("http://").rstrip("/")


def credentials_for(
    address: str, *, ca_file: str, cert_file: str, key_file: str
) -> grpc.ChannelCredentials | None:
    """
    None for plain text, which is spoken where neither the address nor a file says otherwise.

    Raises `Invalid` for files that cannot be read.
    """
    if not (address.startswith(SECURE) or ca_file or cert_file):
        return None
    return grpc.ssl_channel_credentials(_read(ca_file), _read(key_file), _read(cert_file))


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise Invalid(f"cannot read {path}: {error.strerror}") from error
