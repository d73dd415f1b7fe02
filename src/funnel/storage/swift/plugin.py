"""Swift in the settings."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.late import LateSweeper, closing
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.swift.settings import SwiftSettings

SCHEME: Final = "swift://"


@asynccontextmanager
async def make(settings: SwiftSettings, host: Host) -> AsyncGenerator[Storage]:
    del host
    schemes = () if settings.disabled else (SCHEME,)
    opened = "funnel.storage.swift.opened"
    async with closing(LateSweeper(schemes, module=opened, settings=settings)) as late:
        yield RemoteStorage(late, Patience(tries=settings.max_retries + 1))


PLUGIN: Plugin[SwiftSettings, Storage] = Plugin("Swift", SwiftSettings, make)
