"""A store with a connection of its own."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from funnel.core.error import Invalid
from funnel.net.client import Client
from funnel.net.session import session
from funnel.storage.google.credentials import Account, Anonymous, Credentials
from funnel.storage.google.door import Door
from funnel.storage.google.plugin import GoogleSettings
from funnel.storage.google.store import GoogleStore

EMULATOR: Final = "STORAGE_EMULATOR_HOST"
GOOGLE: Final = "https://storage.googleapis.com"


@asynccontextmanager
async def opened(settings: GoogleSettings) -> AsyncGenerator[GoogleStore]:
    """Raises `Invalid` for settings that contradict each other."""
    root = _root(settings)
    async with session() as web, Client() as client:
        yield GoogleStore(Door(client, _who(settings, root, web), root, settings.user_project))


def _root(settings: GoogleSettings) -> str:
    given = settings.endpoint_url or os.environ.get(EMULATOR) or GOOGLE
    if "://" not in given and not settings.endpoint_url:
        given = f"http://{given}"
    if not given.startswith(("http://", "https://")):
        raise Invalid(f"GoogleStorage.EndpointURL: {given} is neither http:// nor https://")
    return given.rstrip("/")


def _who(settings: GoogleSettings, root: str, web: aiohttp.ClientSession) -> Credentials:
    """What was not named for it goes over no line that others can read."""
    if settings.anonymous and settings.credentials_file:
        raise Invalid("GoogleStorage has both Anonymous and CredentialsFile; give one of them")
    if settings.anonymous or not (settings.credentials_file or root.startswith("https://")):
        return Anonymous()
    return Account(settings.credentials_file, web)
