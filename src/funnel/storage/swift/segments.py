"""Large objects: a manifest under their name, and segments in a container beside theirs."""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import md5
from typing import Final, NamedTuple

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, FunnelError, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.storage.calls import Call
from funnel.storage.patience import Patience
from funnel.storage.swift.door import Door
from funnel.storage.swift.listing import Item, items
from funnel.storage.swift.place import Place, path_of
from funnel.together import abreast

log = logging.getLogger(__name__)

OURS: Final = re.compile(r"(.+)/\.funnel-[0-9a-f]{16}/")
"""Before the segments of one upload, after the name of what was stored."""
BEGUN: Final = "begun"
"""The object beside segments that are not all there yet."""
EMPTY: Final = md5(b"", usedforsecurity=False).hexdigest()
ABREAST: Final = 8
REMOVING: Final = Patience(tries=3, first=0.5, longest=2.0)
VERSIONS: Final = ("X-Versions-Enabled", "X-Versions-Location", "X-History-Location")


class Part(Value):
    """A line of a manifest, as Swift shows it."""

    name: str = ""


class Left(NamedTuple):
    """What is there of one upload, beginning with `prefix`."""

    owner: str
    prefix: str
    items: list[Item]

    def began_before(self, time: datetime) -> bool:
        """And has not come to its end."""
        marker = self.prefix + BEGUN
        begun = next((one.changed for one in self.items if one.name == marker), None)
        return begun is not None and begun <= time


class Old(NamedTuple):
    """Segments of what is replaced: by their names, and all that begin with one of `prefixes`."""

    names: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()


class Segments:
    """Of the objects of one container, on behalf of `url`."""

    def __init__(self, door: Door, place: Place, url: str) -> None:
        self._door = door
        self._url = url
        self._place = place

    async def used(self, name: str) -> frozenset[str]:
        """
        Those of the object that has this name by now, as container/name.

        There are none where it is small, or not there.
        """
        path = path_of(self._place.container, name)
        newest = {"X-Newest": "true"}
        try:
            look = Call(url=self._url, deed="looking", path=path, method="HEAD", headers=newest)
            if "X-Static-Large-Object" not in await self._door.headers(look):
                return frozenset()
            call = Call(
                url=self._url,
                deed="reading the manifest",
                path=path,
                query={"multipart-manifest": "get"},
                headers=newest,
            )
            return _parts(await self._door.content(call), self._url)
        except NotFound:
            return frozenset()

    async def old(self) -> Old:
        """
        Those of the object that is about to be replaced, marked as what may be swept then.

        They are those that lie where we or others put segments of this very object. There are
        none where we may not look, or where the container keeps versions of its objects.
        """
        ours = f"{self._place.segments}/{self._place.name}/"
        try:
            used = await self.used(self._place.name)
            names = frozenset(_name(one) for one in used if one.startswith(ours))
            if not names or await self.are_kept():
                return Old()
            prefixes = frozenset(found[0] for one in names if (found := OURS.match(one)))
            for prefix in prefixes:
                path = path_of(self._place.segments, prefix + BEGUN)
                await self._door.put(self._url, path, b"", EMPTY)
        except (Denied, NotFound) as error:
            log.debug("segments of what is replaced stay: %s", error)
            return Old()
        return Old(names, prefixes)

    async def forget(self, old: Old) -> None:
        """Remove them, but for what the object has all the same; it is stored, whatever happens."""
        if not old.names:
            return
        try:
            used = {_name(one) for one in await self.used(self._place.name)}
            await self.remove(old.names - used)
            for prefix in old.prefixes:
                if not any(one.startswith(prefix) for one in used):
                    # Manifests of manifests name only these.
                    found = items(self._door, self._place.segments, prefix, self._url)
                    await self._remove_upload(prefix, [one.name async for one in found])
        except FunnelError as error:
            log.warning("segments of what was replaced stay until they are swept: %s", error)

    async def container(self) -> Mapping[str, str]:
        """What it says of itself."""
        path = path_of(self._place.container)
        call = Call(url=self._url, deed="looking", path=path, method="HEAD")
        return await self._door.headers(call)

    async def are_kept(self) -> bool:
        """Whether the container has versions of its objects, which may use any segment."""
        headers = await self.container()
        return any(headers.get(name, "") not in {"", "False", "false"} for name in VERSIONS)

    async def remove(self, names: Iterable[str]) -> None:
        await abreast(
            lambda name: REMOVING.persist(lambda: self._remove(name), lambda: 0), names, ABREAST
        )

    async def _remove_upload(self, prefix: str, names: Iterable[str]) -> None:
        """What says that it is not whole goes last."""
        await self.remove(one for one in names if one != prefix + BEGUN)
        await self.remove([prefix + BEGUN])

    async def _remove(self, name: str) -> None:
        call = Call(
            url=self._url,
            deed="removing a segment",
            path=path_of(self._place.segments, name),
            method="DELETE",
            also=frozenset({404}),
        )
        await self._door.content(call)

    async def sweep(self, before: datetime) -> int:
        """
        Remove those of uploads that began before and have not come to their end; how many.

        In a container that keeps versions of its objects nothing is removed.
        """
        count = 0
        try:
            async for left in self._left():
                if not left.began_before(before) or await self.are_kept():
                    continue
                used = await self.used(left.owner)
                if any(_name(one).startswith(left.prefix) for one in used):
                    # It was killed between its end and the moment when that was written down.
                    await self.remove([left.prefix + BEGUN])
                else:
                    await self._remove_upload(left.prefix, (one.name for one in left.items))
                    count += 1
        except NotFound:
            log.debug("%s has no container %s", redacted(self._url), self._place.segments)
        return count

    async def _left(self) -> AsyncIterator[Left]:
        """Uploads to the name, or to all names below it."""
        name = self._place.name
        prefix = f"{name}/.funnel-" if name and not name.endswith("/") else name
        found: Left | None = None
        async for item in items(self._door, self._place.segments, prefix, self._url):
            if (match := OURS.match(item.name)) is None:
                continue
            if found and found.prefix != match[0]:
                yield found
                found = None
            found = found or Left(match[1], match[0], [])
            found.items.append(item)
        if found:
            yield found


def _name(path: str) -> str:
    """Without the container."""
    return path.partition("/")[2]


def _parts(text: bytes, url: str) -> frozenset[str]:
    try:
        found: Sequence[Part] = json.decode(text, type=tuple[Part, ...])
    except (DecodeError, ValidationError) as error:
        raise Unavailable(f"{redacted(url)}: what came is no manifest") from error
    return frozenset(one.name.lstrip("/") for one in found)
