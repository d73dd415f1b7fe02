"""Azure Blob Storage; nothing is loaded or opened before the first URL needs it."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.azure.address import takes
from funnel.storage.azure.settings import AzureAccount, AzureSettings, accounts, checked
from funnel.storage.late import Late, closing
from funnel.storage.remote import RemoteStorage

OPENED: Final = "funnel.storage.azure.opened"


class AzureLate(Late):
    """Takes what the accounts of the settings have, and signed URLs of any others."""

    def __init__(self, known: Sequence[AzureAccount], host: Host, *, disabled: bool) -> None:
        super().__init__((), module=OPENED, settings=(known, host))
        self._known = known
        self._disabled = disabled

    def takes(self, url: str) -> bool:
        return not self._disabled and takes(url, self._known)


@asynccontextmanager
async def make(settings: AzureSettings, host: Host) -> AsyncGenerator[Storage]:
    """Raises `Invalid` for settings of no use."""
    known = tuple(map(checked, accounts(settings, os.environ)))
    async with closing(AzureLate(known, host, disabled=settings.disabled)) as late:
        yield RemoteStorage(late)


PLUGIN: Plugin[AzureSettings, Storage] = Plugin("AzureStorage", AzureSettings, make)
