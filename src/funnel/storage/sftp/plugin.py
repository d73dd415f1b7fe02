"""SFTP, by asyncssh."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.late import Late, closing
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router
from funnel.storage.sftp.settings import Settings

SCHEMES: Final = ("sftp://",)


@asynccontextmanager
async def make(settings: Settings, _host: Host) -> AsyncGenerator[Storage]:
    if settings.disabled:
        yield Router(())
        return
    late = Late(SCHEMES, module="funnel.storage.sftp.store", settings=settings, extra="sftp")
    async with closing(late):
        yield RemoteStorage(late)


PLUGIN = Plugin("SFTPStorage", Settings, make)
