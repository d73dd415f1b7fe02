"""A store with a connection of its own."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.core.error import Invalid
from funnel.net.client import Client
from funnel.net.clock import now
from funnel.storage.swift.account import Account
from funnel.storage.swift.door import Door
from funnel.storage.swift.settings import SwiftSettings, filled
from funnel.storage.swift.store import SwiftStore


@asynccontextmanager
async def opened(settings: SwiftSettings) -> AsyncGenerator[SwiftStore]:
    """Raises `Invalid` for settings that are of no use."""
    settings = filled(settings, os.environ)
    tls = await asyncio.to_thread(_tls, settings.ca_file)
    async with Client() as client:
        account = Account(client, settings, tls, asyncio.get_running_loop().time)
        yield SwiftStore(Door(client, account, tls), now)


def _tls(file: str) -> ssl.SSLContext | None:
    try:
        return ssl.create_default_context(cafile=file) if file else None
    except OSError as error:
        raise Invalid(f"Swift.CAFile: {file} is of no use: {error}") from error
