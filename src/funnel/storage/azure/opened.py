"""The store with its connections, which is loaded when the first URL comes."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from funnel.net.client import Client, place_of
from funnel.net.guard import Guard
from funnel.plugins import Host
from funnel.storage.azure.address import Address, address
from funnel.storage.azure.door import CONNECT, LONG, Door
from funnel.storage.azure.identity import NOBODY, Identity, Plain, Shown, Surroundings, Written
from funnel.storage.azure.settings import AzureAccount
from funnel.storage.azure.store import BlobStore
from funnel.storage.azure.surroundings import Surrounding

NEAR: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Doors:
    """One to each account; `named` leads to those of URLs that the settings do not know."""

    def __init__(self, web: Client, named: Client, host: Host) -> None:
        self._web = web
        self._named = named
        self._now = host.now
        self._known: dict[str, Door] = {}

    def __call__(self, place: Address) -> Door:
        account = place.account
        if place.signature:
            shown = Shown(signature=place.signature.reveal())
            check = "check what the signature in the URL allows, and until when"
            web = self._web if place.known else self._named
            return Door(web, account.account, account.root, Plain(shown, check), self._now)
        if account.root not in self._known:
            self._known[account.root] = Door(
                self._web, account.account, account.root, self._identity(account), self._now
            )
        return self._known[account.root]

    def _identity(self, account: AzureAccount) -> Identity:
        where = f"account {account.account} in AzureStorage"
        if account.anonymous:
            return Plain(NOBODY, f"nobody is logged in: {where} is Anonymous")
        if account.has_secret:
            return Written(account)
        origin, _ = place_of(account.root)
        if origin.scheme != "https" and origin.host not in NEAR:
            return Plain(NOBODY, f"nobody is logged in: Endpoint of {where} is not https://")
        found = Surrounding(os.environ, self._web, self._now)
        return Surroundings(found.sources(), account, self._now)


@asynccontextmanager
async def opened(settings: tuple[Sequence[AzureAccount], Host]) -> AsyncGenerator[BlobStore]:
    accounts, host = settings
    async with (
        Client(connect=CONNECT, silence=LONG) as web,
        Client(Guard(host.reach), connect=CONNECT, silence=LONG) as named,
    ):
        yield BlobStore(lambda url: address(url, accounts), Doors(web, named, host))
