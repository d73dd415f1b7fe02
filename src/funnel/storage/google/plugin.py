"""Google Storage in the settings."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Storage
from funnel.storage.late import Late, closing
from funnel.storage.remote import RemoteStorage

SCHEME: Final = "gs://"


class GoogleSettings(Value, kw_only=True):
    """Objects at `gs://bucket/object`."""

    disabled: bool = False
    credentials_file: str = ""
    """
    The key of a service account, or what `gcloud` writes; empty: what the machine has.

    That is the file in GOOGLE_APPLICATION_CREDENTIALS, that of `gcloud auth application-default
    login`, or the service account of a machine of Google's. Where there is none of them, nobody
    logs in, and public objects can be read.
    """
    anonymous: bool = False
    """Never log in."""
    user_project: str = ""
    """The project that pays, for buckets whose requester does."""
    endpoint_url: str = ""
    """Of an emulator or a private endpoint; empty: STORAGE_EMULATOR_HOST, or Google's own."""


@asynccontextmanager
async def make(settings: GoogleSettings, host: Host) -> AsyncGenerator[Storage]:
    del host
    schemes = () if settings.disabled else (SCHEME,)
    opened = "funnel.storage.google.opened"
    async with closing(Late(schemes, module=opened, settings=settings, extra="google")) as late:
        yield RemoteStorage(late)


PLUGIN: Plugin[GoogleSettings, Storage] = Plugin("GoogleStorage", GoogleSettings, make)
