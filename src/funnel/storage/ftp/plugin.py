"""FTP and FTPS, by aioftp."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.ftp.settings import SCHEMES, Settings
from funnel.storage.late import LateSweeper, closing
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[Storage]:
    if settings.disabled:
        yield Router(())
        return
    given = settings, host.reach, host.now
    late = LateSweeper(SCHEMES, module="funnel.storage.ftp.store", settings=given, extra="ftp")
    async with closing(late):
        yield RemoteStorage(late)


PLUGIN = Plugin("FTPStorage", Settings, make)
