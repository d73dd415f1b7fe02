"""Stores that take large files in parts, in memory: what is asked is written down, or struck."""

import asyncio
import base64
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import md5
from typing import Final, TypeAlias
from xml.etree import ElementTree as ET

from aiohttp import web
from azure_server import KEY, blobs
from gcs_server import google
from msgspec import json
from s3_server import generic
from swift_server import login, opened
from webapp import served

from funnel.core.secret import Secret
from funnel.ports import Storage
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.s3.settings import Entry

PART: Final = 1 << 14
ONCE: Final = Patience(tries=1, stall=30.0)

Do: TypeAlias = Callable[[], web.Response]
Strike: TypeAlias = Callable[["Parted", web.Request, Do], Awaitable[web.Response]]


class Parted(ABC):
    """
    One of them. `strikes` are for requests by what those do, one after the other.

    An empty list of them is one that strikes nothing any more; `reached` says that one is stuck.
    """

    url: str
    ends: str = "complete"
    """What makes an object of the parts."""
    aborts: str = "abort"

    def __init__(self) -> None:
        self.address = ""
        self.files: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.asked = Counter[str]()
        self.strikes: Mapping[str, list[Strike]] = {}
        self.reached = asyncio.Event()

    @abstractmethod
    def opened(self) -> AbstractAsyncContextManager[Storage]: ...

    @abstractmethod
    def answer(self, request: web.Request, body: bytes) -> tuple[str, Do]:
        """What a request is, and what does it."""

    @property
    def left(self) -> Sequence[str]:
        """What lies about, and costs money."""
        return sorted(self.parts)

    async def hear(self, request: web.Request) -> web.Response:
        name, do = self.answer(request, await request.read())
        self.asked[name] += 1
        waiting = self.strikes.get(name)
        return await waiting.pop(0)(self, request, do) if waiting else do()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[RemoteStorage]:
        """A storage that leads to it, and tries once."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self.hear)
        serving = served(app, handler_cancellation=True, shutdown_timeout=0.1)
        async with serving as self.address, self.opened() as storage:
            assert isinstance(storage, RemoteStorage)
            yield RemoteStorage(storage.store, ONCE)


class S3(Parted):
    url = "s3://tests/a"
    _tag = ""

    def opened(self) -> AbstractAsyncContextManager[Storage]:
        return generic(Entry(endpoint=self.address, key="k", secret=Secret("s")))

    def answer(self, request: web.Request, body: bytes) -> tuple[str, Do]:
        query, number = request.query, request.query.get("partNumber", "")
        match request.method:
            case "POST" if "uploads" in query:
                return "begin", self._begin
            case "PUT" if number:
                return f"part {number}", lambda: self._part(number, body)
            case "POST":
                return "complete", lambda: self._complete(body)
            case "DELETE":
                return "abort", self._abort
            case "HEAD" if "a" in self.files:
                return "look", lambda: web.Response(headers={"ETag": self._tag})
            case _:
                return "look", lambda: xml("ListMultipartUploadsResult", "")

    def _begin(self) -> web.Response:
        self.parts["upload"] = b""
        return xml("InitiateMultipartUploadResult", "<UploadId>upload</UploadId>")

    def _part(self, number: str, body: bytes) -> web.Response:
        self.parts[number] = body
        return web.Response(headers={"ETag": tag(body)})

    def _complete(self, body: bytes) -> web.Response:
        if "upload" not in self.parts:
            return error(404, "NoSuchUpload")
        listed = [(one[0].text or "", one[1].text) for one in ET.fromstring(body)]  # noqa: S314 - of our client
        if any(tag(self.parts[number]) != wanted for number, wanted in listed):
            return error(400, "InvalidPart")
        found = [self.parts[number] for number, _ in listed]
        self.files["a"] = b"".join(found)
        digests = b"".join(bytes.fromhex(tag(one)) for one in found)
        self._tag = f"{tag(digests)}-{len(found)}"
        self.parts.clear()
        return xml("CompleteMultipartUploadResult", f"<ETag>{self._tag}</ETag>")

    def _abort(self) -> web.Response:
        self.parts.clear()
        return web.Response(status=204)


class Google(Parted):
    url = "gs://tests/a"
    ends = "part 7"

    def opened(self) -> AbstractAsyncContextManager[Storage]:
        return google(endpoint_url=self.address)

    def answer(self, request: web.Request, body: bytes) -> tuple[str, Do]:
        if request.method == "POST":
            return "begin", self._begin
        if request.method == "DELETE":
            return "abort", self._abort
        found = re.fullmatch(r"bytes (\d+)?.*/(\*|\d+)", request.headers["Content-Range"])
        assert found
        start, total = found.groups()
        name = f"part {int(start) // PART + 1}" if start else "look"
        return name, lambda: self._chunk(int(start or 0), body, total)

    def _begin(self) -> web.Response:
        self.parts["upload"] = b""
        return web.Response(headers={"Location": f"{self.address}/session"})

    def _chunk(self, start: int, body: bytes, total: str) -> web.Response:
        if "a" in self.files:
            return self._stored()
        held = self.parts.get("upload")
        if held is None:
            return error(410, "Gone")
        if body:
            assert start == len(held), "a chunk for another place"
            held = self.parts["upload"] = held + body
        if total != "*" and len(held) == int(total):
            self.files["a"] = self.parts.pop("upload")
            return self._stored()
        more = {"Range": f"bytes=0-{len(held) - 1}"} if held else {}
        return web.Response(status=308, headers=more)

    def _stored(self) -> web.Response:
        return web.json_response({"name": "a", "size": str(len(self.files["a"]))})

    def _abort(self) -> web.Response:
        self.parts.clear()
        return web.Response(status=499)


class Azure(Parted):
    """Drops by itself the blocks that become nothing."""

    url = "az://tests/a"
    aborts = ""

    def opened(self) -> AbstractAsyncContextManager[Storage]:
        return blobs(self.address.removeprefix("http://"), key=KEY)

    @property
    def left(self) -> Sequence[str]:
        return []

    def answer(self, request: web.Request, body: bytes) -> tuple[str, Do]:
        match request.query.get("comp"):
            case "block":
                block = request.query["blockid"]
                number = int(base64.b64decode(block).rpartition(b"-")[2])
                return f"part {number}", lambda: self._block(block, body)
            case "blocklist":
                return "complete", lambda: self._complete(body)
            case _:
                return "look", lambda: web.Response(status=404)

    def _block(self, block: str, body: bytes) -> web.Response:
        self.parts[block] = body
        return web.Response(status=201)

    def _complete(self, body: bytes) -> web.Response:
        blocks = [one.text or "" for one in ET.fromstring(body)]  # noqa: S314 - of our client
        self.files["a"] = b"".join(self.parts[one] for one in blocks)
        return web.Response(status=201, headers={"ETag": "whole"})


class Swift(Parted):
    url = "swift://tests/a"
    aborts = ""

    def opened(self) -> AbstractAsyncContextManager[Storage]:
        settings = login(self.address.removeprefix("http://"))
        return opened(settings, storage_url=f"{self.address}/v1/AUTH_t")

    def answer(self, request: web.Request, body: bytes) -> tuple[str, Do]:
        place = request.path.removeprefix("/v1/AUTH_t/")
        last = place.rpartition("/")[2]
        match request.method:
            case "GET" if place == "/auth/v1.0":
                told = {"X-Auth-Token": "t", "X-Storage-Url": "http://unused"}
                return "login", lambda: web.Response(headers=told)
            case "PUT" if "multipart-manifest" in request.query:
                return "complete", lambda: self._complete(body)
            case "PUT":
                name = "begin" if last == "begun" else f"part {int(last)}"
                return name, lambda: self._segment(place, body)
            case "DELETE":
                return f"remove {last}", lambda: self._remove(place)
            case _:
                return "look", lambda: web.Response(status=404)

    def _segment(self, place: str, body: bytes) -> web.Response:
        self.parts[place] = body
        return web.Response(status=201, headers={"ETag": tag(body)})

    def _complete(self, body: bytes) -> web.Response:
        listed = json.decode(body)
        found = [self.parts[one["path"][1:]] for one in listed]
        self.files["a"] = b"".join(found)
        whole = md5("".join(map(tag, found)).encode(), usedforsecurity=False).hexdigest()
        return web.Response(status=201, headers={"ETag": f'"{whole}"'})

    def _remove(self, place: str) -> web.Response:
        return web.Response(status=204 if self.parts.pop(place, None) is not None else 404)

    @property
    def left(self) -> Sequence[str]:
        """Segments are what the object is made of."""
        rest = [one for one in self.parts if one.endswith("/begun")]
        return rest if "a" in self.files else sorted(self.parts)


def tag(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


def xml(name: str, text: str) -> web.Response:
    return web.Response(text=f"<{name}>{text}</{name}>", content_type="application/xml")


def error(status: int, code: str) -> web.Response:
    text = f"<Error><Code>{code}</Code></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def refused(status: int) -> Strike:
    async def strike(_: Parted, __: web.Request, ___: Do) -> web.Response:
        return error(status, "ByTheTest")

    return strike


async def lost(_: Parted, request: web.Request, do: Do) -> web.Response:
    """What was asked is done, and no answer comes."""
    answer = do()
    assert request.transport
    request.transport.abort()
    return answer


async def cut(_: Parted, request: web.Request, __: Do) -> web.Response:
    """The same, and nothing is done."""
    assert request.transport
    request.transport.abort()
    return web.Response(status=500)


async def stuck(store: Parted, _: web.Request, do: Do) -> web.Response:
    store.reached.set()
    await asyncio.sleep(3600)
    return do()
