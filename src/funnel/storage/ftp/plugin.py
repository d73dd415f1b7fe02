"""FTP and FTPS, by aioftp."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.ftp.settings import Settings
from funnel.storage.late import Late, closing
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router

SCHEMES: Final = ("ftp://", "ftps://")


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[Storage]:
    if settings.disabled:
        yield Router(())
        return
    given = settings, host.reach
    late = Late(SCHEMES, module="funnel.storage.ftp.store", settings=given, extra="ftp")
    async with closing(late):
        yield RemoteStorage(late)


PLUGIN = Plugin("FTPStorage", Settings, make)
