"""Who we are to Swift: a token, and where the account is."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from funnel.core.error import FunnelError
from funnel.net.client import Client
from funnel.storage.swift.identity import Login, Pass
from funnel.storage.swift.settings import SwiftSettings

log = logging.getLogger(__name__)

NEARLY: Final = 300
"""A token is renewed so many seconds before it expires."""
LEAST: Final = 30
"""Seconds that it is used, whatever the clocks say."""
AGAIN: Final = 30
"""Seconds until a new one is asked for again, where none came and the old one lasts."""


@dataclass(frozen=True, slots=True)
class _Held:
    found: Pass
    renewed: float
    """When a new one is asked for."""
    end: float


class Account:
    """One login at a time, and all wait for it; `clock` counts seconds."""

    def __init__(
        self,
        client: Client,
        settings: SwiftSettings,
        tls: ssl.SSLContext | None,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._lock = asyncio.Lock()
        self._held: _Held | None = None

    async def current(self, url: str) -> Pass:
        """Errors name the URL on whose behalf it is. Raises as `ports.Transfer` does."""
        async with self._lock:
            if self._held is None or self._held.renewed <= self._clock():
                self._held = await self._renewed(url)
            return self._held.found

    async def _renewed(self, url: str) -> _Held:
        now = self._clock()
        try:
            found = await Login(self._client, self._settings, self._tls, url).done()
        except FunnelError as error:
            now, held = self._clock(), self._held
            if held is None or held.end <= now:
                raise
            log.warning("the token that there is serves on: %s", error)
            return replace(held, renewed=now + AGAIN)
        lasting = max(found.lasting - NEARLY, found.lasting / 2, LEAST)
        return _Held(found, now + lasting, now + found.lasting)

    def forget(self, refused: Pass) -> None:
        if self._held and self._held.found is refused:
            self._held = None
