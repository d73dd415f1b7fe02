"""The keys that sign tokens: a file that only its owner may read."""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from funnel.core.error import Invalid, Unavailable

BYTES: Final = 32
"""Of a key, at least: as many as HMAC-SHA256 makes use of."""
OTHERS: Final = 0o077


class Keys:
    """The first signs; what any of them has signed is believed."""

    def __init__(self, *keys: bytes) -> None:
        self._by_name = {_name(key): key for key in keys}
        self.first = _name(keys[0]), keys[0]
        """Its name, and itself."""

    def get(self, name: str) -> bytes | None:
        return self._by_name.get(name)


def read_or_make(path: Path) -> Keys:
    """As `read`; a file that is not there is made, with one key."""
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise Unavailable(f"cannot keep keys in {path}: {error.strerror}") from error
    return read(path)


def read(path: Path) -> Keys:
    """
    Keys from a file with one a line, in base64url.

    To change keys, put a new one in the first line, and take the old one out when what it has
    signed is over. Raises `Invalid` for a file that others may read or that holds anything
    else, and `Unavailable` where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except OSError as error:
        raise Unavailable(f"cannot read the keys in {path}: {error.strerror}") from error
    if mode & OTHERS:
        raise Invalid(f"others may read the keys in {path}: chmod 600, and change the keys")
    keys = tuple(_keys(path, text))
    if not keys:
        raise Invalid(f"no key is in {path}: remove it, and a new one is made")
    return Keys(*keys)


def _make(path: Path) -> None:
    """Whole or not at all, and never in place of another's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(made, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(BYTES)) + b"\n")
            file.flush()
            os.fsync(made)
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink()


def _keys(path: Path, text: bytes) -> Iterator[bytes]:
    """Says of what is wrong the line alone: it may be most of a key."""
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            key = base64.b64decode(line.strip(), altchars=b"-_", validate=True)
        except binascii.Error:
            key = b""
        if len(key) < BYTES:
            raise Invalid(f"line {number} of {path} is no key: write {BYTES} bytes in base64url")
        yield key


def _name(key: bytes) -> str:
    """Tells keys apart, and nothing about them."""
    return hashlib.sha256(b"funnel key\0" + key).hexdigest()[:8]
