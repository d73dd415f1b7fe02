"""Files of web servers: `http://` and `https://`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from funnel.core.error import Denied, Invalid
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.net.client import Answer, Client
from funnel.net.guard import Guard
from funnel.net.web import Web, parsed
from funnel.plugins import Host, Plugin
from funnel.ports import Content, Object, Reading
from funnel.storage.hosts import Hosts, WebHost
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.web import (
    PIECE,
    checksums_of,
    date_of,
    heard,
    part_of,
    pieces_of,
    ranged,
    refusal,
    size_of,
)

if TYPE_CHECKING:
    from yarl import URL

SCHEMES: Final = frozenset({"http", "https"})
CHECK: Final = (
    "check the URL, and its host in HTTPStorage.Hosts, whose credentials go over https only"
)
NO_HEAD: Final = frozenset({400, 403, 405, 406, 501})
"""What is answered where only another method is taken, or is signed."""
PACKED: Final = frozenset({".gz", ".tgz", ".bgz", ".gzip", ".z", ".bz2", ".br", ".zst"})


class Settings(Value, kw_only=True):
    """Files of web servers. Where they may be is said by Outbound."""

    disabled: bool = False
    timeout: timedelta = timedelta(seconds=60)
    """For a connection, and for silence on one; a file may take as long as it comes."""
    uploads: bool = False
    """Let tasks store files by PUT at any URL that Outbound allows, as at presigned ones."""
    hosts: tuple[WebHost, ...] = ()
    """Those that want to know who asks, or have an authority of their own."""


class HttpStore:
    """Answers `ports.Store`, but for lists: web servers have none."""

    def __init__(
        self, web: Web, hosts: Hosts, *, schemes: frozenset[str] = SCHEMES, uploads: bool = False
    ) -> None:
        self._web = web
        self._schemes = schemes
        self._hosts = hosts
        self._uploads = uploads

    def takes(self, url: str) -> bool:
        return url.partition("://")[0].lower() in self._schemes

    def showing(self, headers: Mapping[str, str], url: str) -> "HttpStore":
        """The same, which shows these to the host of the URL, and to no other."""
        web = self._web.showing(headers, parsed(url))
        return HttpStore(web, self._hosts, schemes=self._schemes, uploads=self._uploads)

    async def stat(self, url: str) -> Object:
        with heard(url, "looking", CHECK):
            async with self._web.answered("HEAD", url, {}) as answer:
                if answer.status == 200:
                    _refuse_packed(answer, url)
                    return _object(answer, url, size_of(answer))
                if answer.status not in NO_HEAD:
                    raise await refusal(answer, url, "looking", CHECK)
        async with self.read(url, 0, 1, "") as reading:
            return reading.found

    def list_objects(self, url: str) -> AsyncIterator[Object]:
        raise Invalid(
            f"{redacted(url)}: web servers do not list directories; name each file by itself,"
            " or put them into one archive"
        )

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        async with AsyncExitStack() as stack:
            asking = self._web.answered("GET", url, _range(start, end, etag))
            with heard(url, "reading", CHECK):
                reading = await _reading(await stack.enter_async_context(asking), url)
            yield reading

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        self._may_write(parsed(url))
        headers = {} if overwrite else {"If-None-Match": "*"}
        headers |= {"Content-Length": str(content.size)} if content.size >= 0 else {}
        with heard(url, "storing", CHECK):
            asking = self._web.answered("PUT", url, headers, content.pieces(PIECE))
            async with asking as answer:
                return await _stored(answer, url, content)

    def _may_write(self, url: "URL") -> None:
        """Credentials that are there to read with are no leave to write."""
        host = self._hosts.about(url)
        if host and not host.uploads:
            raise Denied(
                f"{url.host}: tasks may not store files there; HTTPStorage.Hosts has Uploads"
            )
        if not host and not self._uploads:
            raise Denied(
                "outputs over HTTP are off: HTTPStorage.Uploads allows them, as at presigned URLs"
            )


async def _stored(answer: Answer, url: str, content: Content) -> Object:
    if not 200 <= answer.status < 300:
        raise await refusal(answer, url, "storing", CHECK)
    return Object(url, max(content.size, 0), etag=answer.headers.get("ETag", ""))


def _range(start: int, end: int | None, etag: str) -> Mapping[str, str]:
    """
    Only of a version that is known to be the same.

    >>> _range(5, None, '"a"'), _range(5, None, 'W/"a"'), _range(0, 9, "")
    ({'Range': 'bytes=5-', 'If-Range': '"a"'}, {}, {'Range': 'bytes=0-8'})
    """
    if etag.startswith("W/") or (start and not etag):
        return {}
    wanted = ranged(start, end)
    return {**wanted, "If-Range": etag} if wanted and etag else wanted


async def _reading(answer: Answer, url: str) -> Reading:
    start, size = 0, size_of(answer)
    begins, total = part_of(answer.headers)
    if answer.status == 416 and not total:
        size = 0
    elif answer.status == 206 and begins >= 0:
        start = begins
    elif answer.status != 200:
        raise await refusal(answer, url, "reading", CHECK)
    _refuse_packed(answer, url)
    return Reading(
        found=_object(answer, url, size, _validator(answer)),
        start=start,
        pieces=pieces_of(answer, url) if answer.status != 416 else _nothing(),
        ranged=size > 0 and _ranged(answer),
    )


def _ranged(answer: Answer) -> bool:
    given = answer.headers.get("Accept-Ranges", "").lower() == "bytes" or answer.status == 206
    return given and _validator(answer).startswith('"')


def _validator(answer: Answer) -> str:
    """What tells versions apart: a tag, or else a date."""
    return answer.headers.get("ETag", "") or answer.headers.get("Last-Modified", "")


def _object(answer: Answer, url: str, size: int, etag: str = "") -> Object:
    return Object(
        url,
        size,
        etag=etag or answer.headers.get("ETag", ""),
        last_modified=date_of(answer.headers.get("Last-Modified", "")),
        checksums=checksums_of(answer.headers) if answer.status == 200 else {},
    )


def _refuse_packed(answer: Answer, url: str) -> None:
    """We ask for the file as it is; of one that is packed itself, some servers say so here."""
    coding = answer.headers.get("Content-Encoding", "").lower()
    suffix = PurePosixPath(answer.target.partition("?")[0]).suffix.lower()
    if coding not in {"", "identity"} and suffix not in PACKED:
        raise Invalid(
            f"{redacted(url)} comes packed by {coding}, though it was asked for as it is;"
            " the server must send the file itself"
        )


async def _nothing() -> AsyncIterator[bytes]:
    for piece in tuple[bytes, ...]():
        yield piece


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[RemoteStorage]:
    hosts = await Hosts.read(settings.hosts, "HTTPStorage.Hosts")
    seconds = max(1.0, settings.timeout.total_seconds())
    async with Client(Guard(host.reach), connect=seconds, silence=seconds) as client:
        schemes = frozenset[str]() if settings.disabled else SCHEMES
        store = HttpStore(
            Web(client, host.reach, hosts), hosts, schemes=schemes, uploads=settings.uploads
        )
        yield RemoteStorage(store, Patience(stall=seconds), has_directories=False)


PLUGIN = Plugin("HTTPStorage", Settings, make, any_host=True)
