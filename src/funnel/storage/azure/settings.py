"""Azure Blob Storage in the settings."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.secret import Secret
from funnel.core.value import Value

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
    def has_secret(self) -> bool:
        return bool(self.key or self.key_file or self.sas_token or self.sas_token_file)

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

    Where there is neither a key nor a signature: AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, if
    the account is that of AZURE_STORAGE_ACCOUNT_NAME; or else the identity that AZURE_CLIENT_ID and
    its like tell of, that of the machine, or of `az login`. Where there is none of them, nobody
    logs in, and public containers can be read.
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


def accounts(settings: AzureSettings, environ: Mapping[str, str]) -> tuple[AzureAccount, ...]:
    """That of `az://` URLs first; secrets of the environment are for the account that it names."""
    own = next(filter(None, map(environ.get, VARIABLES)), "")
    name = settings.account or own
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
    if name == own and not (first.has_secret or first.anonymous):
        key, token = (
            environ.get("AZURE_STORAGE_KEY", ""),
            environ.get("AZURE_STORAGE_SAS_TOKEN", ""),
        )
        first = replace(first, key=Secret(key), sas_token=Secret(token))
    return (first, *settings.accounts)


def checked(account: AzureAccount) -> AzureAccount:
    """Raises `Invalid` for what can be no account."""
    if not account.account:
        raise Invalid("AzureStorage.Accounts[].Account is missing: name it")
    if not account.root.startswith(("https://", "http://")) or not urlsplit(account.root).hostname:
        raise Invalid(
            f"Endpoint of account {account.account} in AzureStorage is no URL: {account.endpoint};"
            " write https://host"
        )
    return account
