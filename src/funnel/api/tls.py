"""Certificates of the doors, which may change while the server runs."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from funnel.core.error import Invalid
from funnel.safepath import stamp
from funnel.together import alongside

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between looks for new files."""


@asynccontextmanager
async def certificates_of(
    certificate: str, key: str, client_ca: str
) -> AsyncGenerator["Certificates | None"]:
    """Watch over the files of these names; without a certificate there is nothing to watch."""
    if not certificate:
        yield None
        return
    roots = Path(client_ca) if client_ca else None
    found = Certificates(Files(certificate=Path(certificate), key=Path(key), client_ca=roots))
    async with alongside(found.watch()):
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """In PEM. `client_ca` are who issues certificates of clients; None: they need not show any."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *filter(None, [self.client_ca]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the files hold: for who speaks TLS with our sockets, and for who brings its own."""

    context: ssl.SSLContext
    chain: bytes
    key: bytes
    client_ca: bytes | None


class Certificates:
    """
    Those that are shown to new connections; connections that are there keep theirs.

    New files count as soon as they are seen. While they are not whole or do not fit, the old
    ones go on. Raises `Invalid` where the first ones do not.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen = stamp(files.all)
        self._fault = ""
        self.now = load(files)

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take the files where they have changed."""
        seen = stamp(self._files.all)
        if seen == self._seen:
            return
        fault = self._take()
        if not fault:
            self._seen = seen
            log.info("new connections are shown the new certificate in %s", self._files.certificate)
        elif fault != self._fault:
            log.error("new connections are shown the old certificate: %s", fault)
        self._fault = fault

    def _take(self) -> str:
        """What is wrong; empty where the new files count from now on."""
        try:
            self.now = load(self._files)
        except Invalid as error:
            return str(error)
        return ""


def load(files: Files) -> Loaded:
    """Raises `Invalid` for files that cannot be read or do not belong together."""
    before = _contents(files)
    try:
        context = _context(files)
    except (OSError, ValueError) as error:
        why = (error.reason if isinstance(error, ssl.SSLError) else None) or error
        raise Invalid(f"{_names(files)} are no certificate and its key: {why}") from None
    after = _contents(files)
    if before != after:
        raise Invalid(f"{_names(files)} change while they are read")
    chain, key, *roots = after
    return Loaded(context=context, chain=chain, key=key, client_ca=roots[0] if roots else None)


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key, password=_no_password)
    if files.client_ca:
        # Not for this door; but what cannot be read shall be told before others need it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(files.client_ca)
    return context


def _no_password() -> str:
    """Else OpenSSL asks at the terminal, and waits."""
    raise ValueError("the key has a password: give one without, that only the server may read")


def _contents(files: Files) -> list[bytes]:
    try:
        return [path.read_bytes() for path in files.all]
    except OSError as error:
        raise Invalid(f"cannot read {error.filename}: {error.strerror}") from None


def _names(files: Files) -> str:
    return " and ".join(map(str, files.all))
