"""Stores with their connections, which are loaded when the first URL comes."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from funnel.net.client import Client
from funnel.ports import Clock
from funnel.storage.s3.bucket import CONNECT, LONG
from funnel.storage.s3.doors import AmazonDoors, GenericDoors
from funnel.storage.s3.settings import AmazonSettings, Entry
from funnel.storage.s3.store import S3Store


def amazon(settings: AmazonSettings, now: Clock, stack: AsyncExitStack) -> S3Store:
    return S3Store(AmazonDoors(settings, _web(stack), now), now)


def generic(
    settings: tuple[Sequence[Entry], AmazonSettings | None], now: Clock, stack: AsyncExitStack
) -> S3Store:
    entries, beside = settings
    web = _web(stack)
    amazon = AmazonDoors(beside, web, now) if beside else None
    return S3Store(GenericDoors(entries, web, now, amazon), now)


def _web(stack: AsyncExitStack) -> Client:
    client = Client(connect=CONNECT, silence=LONG)
    stack.callback(client.close)
    return client
