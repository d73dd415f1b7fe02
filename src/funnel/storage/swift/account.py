"""Who we are to Swift: a token, and where the account is."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from funnel.net.client import Client
from funnel.storage.swift.identity import Login, Pass
from funnel.storage.swift.settings import SwiftSettings

NEARLY: Final = 300
"""A token is renewed so many seconds before it expires."""
LEAST: Final = 30
"""Seconds that it is used, whatever the clocks say."""


@dataclass(frozen=True, slots=True)
class _Held:
    found: Pass
    until: float
    """By the clock of the loop."""


class Account:
    """One login at a time, and all wait for it."""

    def __init__(self, client: Client, settings: SwiftSettings, tls: ssl.SSLContext | None) -> None:
        self._client = client
        self._settings = settings
        self._tls = tls
        self._lock = asyncio.Lock()
        self._held: _Held | None = None

    async def current(self, url: str) -> Pass:
        """Errors name the URL on whose behalf it is. Raises as `ports.Transfer` does."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._held is None or self._held.until <= now:
                found = await Login(self._client, self._settings, self._tls, url).done()
                lasting = max(found.lasting - NEARLY, found.lasting / 2, LEAST)
                self._held = _Held(found, now + lasting)
            return self._held.found

    def forget(self, refused: Pass) -> None:
        if self._held and self._held.found is refused:
            self._held = None
