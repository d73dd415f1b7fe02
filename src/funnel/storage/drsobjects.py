"""What servers of the GA4GH Data Repository Service (DRS 1.2 and later) say that they have."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final, Self, TypeVar
from urllib.parse import quote

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, Invalid, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.net.web import Web, parsed
from funnel.ports import judge
from funnel.storage.hosts import Hosts
from funnel.storage.web import Answer, heard, refusal, retry_after

V = TypeVar("V", bound=Value)

SCHEME: Final = "drs://"
CHECK: Final = "check the id, and what DRSStorage.Hosts says of its host"
LARGEST: Final = 32 << 20
"""Bytes of one answer."""
LASTS: Final = 60.0
"""Seconds for which a bundle is kept: each file of it is found by way of it."""
KEPT: Final = 100
SUMS: Final = frozenset({"md5", "sha1", "sha256", "sha512"})
HEXADECIMAL: Final = re.compile(r"[0-9a-f]+")

OURS: Final = frozenset(
    {
        *("Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade"),
        *("Range", "If-Range", "Accept-Encoding", "Expect", "Content-Encoding"),
    }
)


class AccessUrl(Value):
    url: str
    headers: tuple[str, ...] | None = None


class AccessMethod(Value):
    type: str
    access_url: AccessUrl | None = None
    access_id: str | None = None


class Checksum(Value):
    checksum: str
    type: str


class Entry(Value):
    """One entry of a bundle; a nested bundle may be written out in place."""

    name: str
    id: str | None = None
    drs_uri: tuple[str, ...] | None = None
    contents: "tuple[Entry, ...] | None" = None


class DrsObject(Value):
    size: int = 0
    updated_time: str | None = None
    checksums: tuple[Checksum, ...] | None = None
    access_methods: tuple[AccessMethod, ...] | None = None
    contents: tuple[Entry, ...] | None = None

    @property
    def sums(self) -> Mapping[str, str]:
        """
        By their names in `hashlib`.

        >>> DrsObject(checksums=(Checksum("AB", "sha-256"), Checksum("x", "etag"))).sums
        {'sha256': 'ab'}
        """
        given = [(one.type.lower().replace("-", ""), one) for one in self.checksums or ()]
        found = {name: one.checksum.lower() for name, one in given if name in SUMS}
        return {name: text for name, text in found.items() if HEXADECIMAL.fullmatch(text)}


class Place(Value):
    """Where an object is asked for; `names` lead on from it, where it is a bundle."""

    host: str
    id: str
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, url: str) -> Self:
        """
        Raises `Invalid`.

        >>> Place.of("drs://example.org/314159/a b")
        Place(host='example.org', id='314159', names=('a b',))
        """
        host, _, path = url[len(SCHEME) :].partition("/")
        first, *names = path.partition("?")[0].split("/") if not path.startswith("/") else [""]
        if ":" in host and not host.rpartition(":")[2].isdigit():
            raise Invalid(
                f"{redacted(url)} is a compact identifier; write drs://host/id, as its server has"
            )
        if not host or not first or "@" in host:
            raise Invalid(f"{redacted(url)} is no DRS URL; write drs://host/id")
        return cls(host, first, tuple(filter(None, names)))


class Objects:
    """Asks through the gate, as who we are at each host."""

    def __init__(self, web: Web, hosts: Hosts) -> None:
        self._web = web
        self._hosts = hosts
        self._bundles: dict[Place, tuple[float, DrsObject]] = {}

    async def found(self, url: str) -> tuple[Place, DrsObject]:
        """What a URL names, and where it is itself. Raises as `Store` does."""
        place = Place.of(url)
        names, place = place.names, Place(place.host, place.id)
        found = await self._at(place, url)
        for name in names:
            entry = next((one for one in found.contents or () if one.name == name), None)
            if entry is None:
                raise NotFound(f"{url}: there is no {name!r} in this bundle")
            place, found = await self.within(place, entry, url)
        return place, found

    async def within(self, place: Place, entry: Entry, url: str) -> tuple[Place, DrsObject]:
        """What an entry of a bundle is. What its own server has is a part of it."""
        if entry.contents is not None:
            return place, DrsObject(contents=entry.contents)
        if entry.drs_uri:
            inner = Place.of(entry.drs_uri[0])
        elif entry.id:
            inner = Place(place.host, entry.id)
        else:
            raise Invalid(f"{url}: the server says of {entry.name!r} not what it is")
        if inner.host != place.host:
            demand(f"{SCHEME}{inner.host}/{inner.id}", url)
        return inner, await self._at(inner, url)

    async def access(self, place: Place, access_id: str, url: str) -> AccessUrl:
        address = f"{self._address(place)}/access/{_quoted(access_id)}"
        return await self._asked(address, AccessUrl, url)

    async def _at(self, place: Place, url: str) -> DrsObject:
        now = asyncio.get_running_loop().time()
        until, found = self._bundles.pop(place, (0.0, DrsObject()))
        if until <= now:
            until, found = now + LASTS, await self._asked(self._address(place), DrsObject, url)
        if found.contents:
            self._bundles[place] = until, found
            while len(self._bundles) > KEPT:
                del self._bundles[next(iter(self._bundles))]
        return found

    def _address(self, place: Place) -> str:
        about = self._hosts.about(parsed(f"https://{place.host}"))
        scheme = "http" if about and about.plain_text else "https"
        return f"{scheme}://{place.host}/ga4gh/drs/v1/objects/{_quoted(place.id)}"

    async def _asked(self, address: str, kind: type[V], url: str) -> V:
        with heard(url, "asking its server", CHECK):
            headers = {"Accept": "application/json"}
            async with self._web.answered("GET", address, headers) as answer:
                return _decoded(await _body(answer, url), kind, url)


async def _body(answer: Answer, url: str) -> bytes:
    if answer.status == 202:
        waiting = Unavailable(f"{url}: its server is still looking for it")
        waiting.retry_after = retry_after(answer.headers)
        raise waiting
    if answer.status != 200:
        raise await refusal(answer, url, "asking its server", CHECK)
    found = bytearray()
    async for piece in answer.content.iter_any():
        found += piece
        if len(found) > LARGEST:
            raise Invalid(f"{url}: its server says more than {LARGEST >> 20} MiB about it")
    return bytes(found)


def _decoded(body: bytes, kind: type[V], url: str) -> V:
    try:
        return json.decode(body, type=kind)
    except (DecodeError, ValidationError, UnicodeDecodeError) as error:
        raise Invalid(f"{url}: its server does not answer as DRS has it: {error}") from error


def demand(leads: str, url: str) -> None:
    """Raises `Denied` where the server of the `url` leads to what may not be read."""
    try:
        if judging := judge():
            judging(leads)
    except Denied as error:
        raise Denied(f"{url}: its server leads elsewhere, and {error}") from error


def _quoted(text: str) -> str:
    """
    As one part of a path, whether it was encoded already or not.

    >>> _quoted("a/b"), _quoted("a%2Fb")
    ('a%2Fb', 'a%2Fb')
    """
    return quote(text, safe="%" if re.search(r"%[0-9A-Fa-f]{2}", text) else "")


def shown(headers: Sequence[str] | None) -> Mapping[str, str]:
    """
    Headers that a server names for an access, but for those that are ours to say.

    >>> shown(["authorization: Bearer x", "Host: elsewhere", "nonsense"])
    {'Authorization': 'Bearer x'}
    """
    pairs = [one.partition(":") for one in headers or ()]
    named = {name.strip().title(): value.strip() for name, colon, value in pairs if colon}
    return {name: value for name, value in named.items() if name not in OURS}
