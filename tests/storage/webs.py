"""Storages over HTTP for tests, which may reach this machine."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from funnel.core.error import NotFound
from funnel.core.reach import Reach, networks
from funnel.plugins import Host
from funnel.ports import Object, Store
from funnel.storage.hosts import WebHost
from funnel.storage.http import PLUGIN, Settings
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.testing.build import EPOCH

HERE = Reach(allowed=networks(["127.0.0.0/8"], "test"))
HASTE = Patience(tries=40, first=0.01, longest=0.05, stall=10.0)
"""Pauses of a test."""


def host(reach: Reach = HERE, **given: Any) -> Host:
    return Host(now=lambda: EPOCH, deployment="test", reach=reach, **given)


@asynccontextmanager
async def web_storage(
    *hosts: WebHost, reach: Reach = HERE, **given: Any
) -> AsyncGenerator[RemoteStorage]:
    settings = replace(Settings(hosts=hosts), **given)
    async with PLUGIN.make(settings, host(reach)) as storage:
        yield RemoteStorage(storage.store, HASTE, has_directories=False)


class Beside(RemoteStorage):
    """Web servers do not list; what has arrived is seen in the `folder` of this one, at `base`."""

    def __init__(self, store: Store, base: str, folder: Path) -> None:
        super().__init__(store, HASTE, has_directories=False)
        self._base = base
        self._folder = folder

    async def list_objects(self, url: str) -> Sequence[Object]:
        below = url.removeprefix(self._base).strip("/")
        folder = self._folder / below
        if not folder.is_dir():
            raise NotFound(f"there is no {url}")
        found = sorted(one for one in folder.rglob("*") if one.is_file())
        names = sorted((str(one.relative_to(folder)), one.stat().st_size) for one in found)
        return [Object(f"{url.rstrip('/')}/{name}", size, name) for name, size in names]
