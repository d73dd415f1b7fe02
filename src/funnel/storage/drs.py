"""Objects of the GA4GH Data Repository Service: `drs://host/id` leads to a file elsewhere."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.value import Value
from funnel.net.client import Client
from funnel.net.guard import Guard
from funnel.net.web import Web
from funnel.plugins import Host, Plugin
from funnel.ports import Content, Object, Reading, Store, judge
from funnel.storage.drsobjects import (
    SCHEME,
    AccessMethod,
    DrsObject,
    Entry,
    Objects,
    Place,
    demand,
    shown,
)
from funnel.storage.hosts import Hosts, WebHost
from funnel.storage.http import HttpStore
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.together import grouped

MOST: Final = 10_000
"""Entries of one bundle, those of nested ones included: each is asked for."""
DEEPEST: Final = 32
ABREAST: Final = 8
SCHEMES: Final[Mapping[str, frozenset[str]]] = {"https": frozenset({"https", "http"})}
"""Of the URLs for a type of access, where they are not called like it."""


class Settings(Value, kw_only=True):
    """Objects at drs:// URLs, which are read from where their server says they are."""

    disabled: bool = False
    timeout: timedelta = timedelta(seconds=60)
    """For an answer."""
    access: tuple[str, ...] = ("https", "s3", "gs", "ftp")
    """Types of access that are used, the best one first."""
    hosts: tuple[WebHost, ...] = ()
    """DRS servers that want to know who asks. With PlainText they are asked over http."""


class DrsStore:
    """Answers `ports.Store` with the stores that the objects are in; `store` finds those."""

    def __init__(self, objects: Objects, store: Callable[[str], Store], settings: Settings) -> None:
        self._objects = objects
        self._store = store
        self._settings = settings

    def takes(self, url: str) -> bool:
        return not self._settings.disabled and url.lower().startswith(SCHEME)

    async def stat(self, url: str) -> Object:
        place, found = await self._file(url)
        # Who knows it so well already that nothing is read may still not read it.
        if judge():
            await self._demand_a_way(place, found, url)
        return _object(url, found)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        place, root = await self._objects.found(url)
        waiting, count = [("", place, root, 0)], 0
        while waiting:
            above, place, bundle, depth = waiting.pop()
            entries = bundle.contents or ()
            count += len(entries)
            if count > MOST or depth > DEEPEST:
                raise Invalid(f"{url} holds more than {MOST} entries; use an archive")
            for at in range(0, len(entries), ABREAST):
                for name, where, found in await self._within(
                    place, entries[at : at + ABREAST], url
                ):
                    if found.contents is None:
                        yield replace(_object(url, found), name=f"{above}{name}")
                    else:
                        waiting.append((f"{above}{name}/", where, found, depth + 1))

    async def _within(
        self, place: Place, entries: Sequence[Entry], url: str
    ) -> Sequence[tuple[str, Place, DrsObject]]:
        for one in entries:
            if "/" in one.name or one.name in {"", ".", ".."}:
                raise Invalid(f"an entry of {url} has a name that is none: {one.name!r}")
        async with grouped() as group:
            asking = [group.create_task(self._objects.within(place, one, url)) for one in entries]
        return [(one.name, *task.result()) for one, task in zip(entries, asking, strict=True)]

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        place, found = await self._file(url)
        failures = list[FunnelError]()
        async with AsyncExitStack() as stack:
            for method in self._methods(found, url):
                try:
                    store, where = await self._way(place, method, url)
                    reading = await stack.enter_async_context(store.read(where, start, end, etag))
                    reading = _agreed(reading, found, url)
                except FunnelError as error:
                    failures.append(error)
                else:
                    break
            else:
                raise _worst(failures)
            yield reading

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        del content, overwrite
        raise Denied(f"{url}: nothing can be stored by DRS; name a place in another store")

    async def _file(self, url: str) -> tuple[Place, DrsObject]:
        place, found = await self._objects.found(url)
        if found.contents is not None:
            raise NotFound(f"{url} is a bundle, not a file")
        return place, found

    def _methods(self, found: DrsObject, url: str) -> Sequence[AccessMethod]:
        known, given = self._settings.access, found.access_methods or ()
        methods = [one for name in known for one in given if one.type == name]
        if not methods:
            types = ", ".join(sorted({one.type for one in given})) or "nothing"
            raise Invalid(f"{url} can be had by {types}; DRSStorage.Access has {', '.join(known)}")
        return methods

    async def _demand_a_way(self, place: Place, found: DrsObject, url: str) -> None:
        """Raises what is wrong with the ways where none may be gone."""
        failures = list[FunnelError]()
        for method in self._methods(found, url):
            try:
                await self._way(place, method, url)
            except FunnelError as error:
                failures.append(error)
            else:
                return
        raise _worst(failures)

    async def _way(self, place: Place, method: AccessMethod, url: str) -> tuple[Store, str]:
        """To the file: never to one of this machine, nor by DRS again."""
        access = method.access_url
        if access is None and method.access_id:
            access = await self._objects.access(place, method.access_id, url)
        if access is None:
            raise Invalid(f"{url}: its server says not where {method.type} leads")
        scheme = access.url.partition("://")[0].lower()
        if scheme not in SCHEMES.get(method.type, {method.type}) or scheme == "drs":
            raise Denied(f"{url}: its server calls a URL of {scheme[:20]!r} {method.type}")
        demand(access.url, url)
        store = self._store(access.url)
        headers = shown(access.headers)
        if headers and isinstance(store, HttpStore):
            store = store.showing(headers, access.url)
        return store, access.url


def _object(url: str, found: DrsObject) -> Object:
    changed = None
    with suppress(ValueError):
        changed = datetime.fromisoformat(found.updated_time) if found.updated_time else None
    tag = next(iter(found.sums.values()), "")
    return Object(url, found.size, etag=tag, last_modified=changed, checksums=found.sums)


def _agreed(reading: Reading, found: DrsObject, url: str) -> Reading:
    """What the store gives is held to what the DRS server says of it."""
    there = reading.found
    if there.size_bytes not in {-1, found.size}:
        raise Invalid(
            f"{url} should have {found.size} bytes, and there are {there.size_bytes} where it is"
        )
    checksums = {**there.checksums, **found.sums}
    return replace(reading, found=Object(url, found.size, etag=there.etag, checksums=checksums))


def _worst(failures: Sequence[FunnelError]) -> FunnelError:
    """What may pass, since then another try is of use; or else what the best way said."""
    return next((one for one in failures if isinstance(one, Unavailable)), failures[0])


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[RemoteStorage]:
    hosts = await Hosts.read(settings.hosts, "DRSStorage.Hosts")
    seconds = max(1.0, settings.timeout.total_seconds())
    async with Client(Guard(host.reach), connect=seconds, silence=seconds) as client:
        objects = Objects(Web(client, host.reach, hosts), hosts)
        yield RemoteStorage(DrsStore(objects, host.store, settings), Patience(stall=seconds))


PLUGIN = Plugin("DRSStorage", Settings, make)
