"""The keys that sign tokens: a file that only its owner may read."""

import asyncio
import base64
import binascii
import hashlib
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from funnel.core.error import Invalid, Unavailable
from funnel.safepath import stamp

log = logging.getLogger(__name__)

BYTES: Final = 32
"""Of a key, at least: as many as HMAC-SHA256 makes use of."""
OTHERS: Final = 0o077
EVERY: Final = 5.0
"""Seconds between two looks at a file of keys."""


class Keys:
    """The first signs; what any of them has signed is believed."""

    def __init__(self, *keys: bytes) -> None:
        self._by_name = {_name(key): key for key in keys}
        self.first = _name(keys[0]), keys[0]
        """Its name, and itself."""

    def get(self, name: str) -> bytes | None:
        return self._by_name.get(name)


class KeyFile:
    """
    The keys of a file as it is now, seen within `EVERY` seconds of a change.

    While the file cannot be read, those that it had go on. It is made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = read_or_make(path)
        self._seen = stamp([path])

    @property
    def first(self) -> tuple[str, bytes]:
        return self._keys.first

    def get(self, name: str) -> bytes | None:
        return self._keys.get(name)

    async def forever(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take the keys where the file has changed; blocks."""
        seen = stamp([self._path])
        if seen == self._seen:
            return
        self._seen = seen
        if fault := self._take():
            log.error("tokens are signed with the keys of before: %s", fault)
        else:
            log.info("tokens are signed with the first key that is in %s now", self._path)

    def _take(self) -> str:
        """What is wrong; empty where the keys of the file count from now on."""
        try:
            self._keys = read(self._path)
        except (Invalid, Unavailable) as error:
            return str(error)
        return ""


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
