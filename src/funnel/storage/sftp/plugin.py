"""SFTP, by asyncssh."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.late import LateSweeper, closing
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router
from funnel.storage.sftp.settings import SCHEMES, Settings


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[Storage]:
    if settings.disabled:
        yield Router(())
        return
    given = settings, host.now
    late = LateSweeper(SCHEMES, module="funnel.storage.sftp.store", settings=given, extra="sftp")
    async with closing(late):
        yield RemoteStorage(late)


PLUGIN = Plugin("SFTPStorage", Settings, make)
