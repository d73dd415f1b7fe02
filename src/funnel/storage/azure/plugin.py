"""Azure Blob Storage in the settings."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.late import Late, closing
from funnel.storage.remote import RemoteStorage

SCHEME: Final = "az://"
VARIABLES: Final = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
NAMES: Final = {"sas_token": "SASToken", "sas_token_file": "SASTokenFile"}


class AzureAccount(Value, kw_only=True, rename=NAMES):
    """One storage account, and who we are there."""

    account: str = ""
    key: Secret = Secret()
    key_file: str = ""
    sas_token: Secret = Secret()
    """A shared access signature, in place of the key."""
    sas_token_file: str = ""
    anonymous: bool = False
    """Never log in: for public containers."""
    endpoint: str = ""
    """Empty: `https://ACCOUNT.blob.core.windows.net`."""

    @property
    def root(self) -> str:
        given = self.endpoint or f"https://{self.account}.blob.core.windows.net"
        return given.rstrip("/")


class AzureSettings(Value, kw_only=True, rename=NAMES):
    """Blobs at `az://container/blob`, and at the URLs of the accounts that are named here."""

    disabled: bool = False
    account: str = ""
    """That of `az://` URLs; empty: AZURE_STORAGE_ACCOUNT_NAME, or the first of Accounts."""
    key: Secret = Secret()
    """
    Of the account.

    Where there is neither a key nor a signature: what the environment says (AZURE_CLIENT_ID and
    its like), or the identity of the machine.
    """
    key_file: str = ""
    sas_token: Secret = Secret()
    """A shared access signature, in place of the key."""
    sas_token_file: str = ""
    anonymous: bool = False
    """Never log in: for public containers."""
    endpoint: str = ""
    """Empty: `https://ACCOUNT.blob.core.windows.net`."""
    accounts: tuple[AzureAccount, ...] = ()
    """More of them, for URLs that name theirs."""


class AzureLate(Late):
    """Signed URLs say themselves who may use them: they are for any web client."""

    def takes(self, url: str) -> bool:
        return super().takes(url) and (url.startswith(SCHEME) or "?" not in url)


def accounts(settings: AzureSettings) -> tuple[AzureAccount, ...]:
    """That of `az://` URLs first."""
    name = settings.account or next(filter(None, map(os.environ.get, VARIABLES)), "")
    if not name:
        return settings.accounts
    first = AzureAccount(
        account=name,
        key=settings.key,
        key_file=settings.key_file,
        sas_token=settings.sas_token,
        sas_token_file=settings.sas_token_file,
        anonymous=settings.anonymous,
        endpoint=settings.endpoint,
    )
    return (first, *settings.accounts)


@asynccontextmanager
async def make(settings: AzureSettings, host: Host) -> AsyncGenerator[Storage]:
    del host
    known = accounts(settings)
    schemes = () if settings.disabled else (SCHEME, *(f"{one.root}/" for one in known))
    opened = "funnel.storage.azure.opened"
    async with closing(AzureLate(schemes, module=opened, settings=known, extra="azure")) as late:
        yield RemoteStorage(late)


PLUGIN: Plugin[AzureSettings, Storage] = Plugin("AzureStorage", AzureSettings, make)
