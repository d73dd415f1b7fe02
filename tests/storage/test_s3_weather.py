"""S3 in bad weather: a small store of our own that fails as it is told to."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from io import BytesIO
from tempfile import TemporaryFile

import pytest
from aiohttp import web
from webapp import served

from funnel.core.error import FunnelError, Unavailable
from funnel.core.secret import Secret
from funnel.net.client import Client
from funnel.net.clock import now
from funnel.ports import Object
from funnel.storage.patience import Patience
from funnel.storage.remote import RemoteStorage
from funnel.storage.s3.address import Address
from funnel.storage.s3.bucket import Bucket, Terms
from funnel.storage.s3.credentials import Credentials
from funnel.storage.s3.plugin import LateStore
from funnel.storage.s3.sign import Keys
from funnel.storage.s3.store import S3Store

LARGE = 20 << 20
EXPIRED = "<Error><Code>ExpiredToken</Code><Message>The token has expired.</Message></Error>"
SLOW = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

Fault = Callable[[web.Request], web.Response]


def status(number: int, text: str = "") -> Fault:
    return lambda _: web.Response(status=number, text=text)


def reset(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


class Stormy:
    """`faults` are met by the first requests of their kind, each by one."""

    def __init__(self) -> None:
        self.url = ""
        self.faults: dict[str, list[Fault]] = {}
        self.kinds: list[str] = []
        self.keys: set[str] = set()
        self.parts: dict[str, bytes] = {}
        self.uploads = 0
        self.objects: dict[str, bytes] = {}

    async def answer(self, request: web.Request) -> web.Response:
        body, kind = await request.read(), _kind(request)
        self.kinds.append(kind)
        self.keys.add(
            request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        )
        if faults := self.faults.get(kind):
            return faults.pop(0)(request)
        return web.Response(text=self._done(kind, request, body), headers={"ETag": '"e"'})

    def _done(self, kind: str, request: web.Request, body: bytes) -> str:
        match kind:
            case "begin":
                self.uploads += 1
            case "part":
                self.parts[request.query["partNumber"]] = body
            case "complete":
                self.uploads -= 1
                pieces = sorted(self.parts.items(), key=lambda one: int(one[0]))
                self.objects[request.path] = b"".join(piece for _, piece in pieces)
            case "forget":
                self.uploads -= 1
            case "put":
                self.objects[request.path] = body
            case _:
                pass
        said = "<UploadId>u1</UploadId><ETag>e</ETag><IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{said}</ListBucketResult>"


def _kind(request: web.Request) -> str:
    match request.method:
        case "POST":
            return "begin" if "uploads" in request.query else "complete"
        case "PUT":
            return "part" if "partNumber" in request.query else "put"
        case "DELETE":
            return "forget"
        case _:
            return "list"


@pytest.fixture
async def stormy() -> AsyncGenerator[Stormy]:
    found = Stormy()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{any:.*}", found.answer)
    async with served(app) as address:
        found.url = f"{address}/bucket"
        yield found


class Doors:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def bucket(self, url: str) -> tuple[Bucket, Address]:
        return self._bucket, Address("", "bucket", url.removeprefix("s3://bucket/"))


@pytest.fixture
async def storage(stormy: Stormy) -> AsyncGenerator[RemoteStorage]:
    given = iter(f"key{number}" for number in range(100))

    async def source() -> Keys:
        return Keys(next(given), Secret("s"), Secret("t"), datetime(2999, 1, 1, tzinfo=UTC))

    async with Client() as client:
        terms = Terms(
            url=stormy.url,
            region="us-east-1",
            section="AmazonS3",
            credentials=Credentials((source,), now),
            common={},
            reading={},
            writing={},
        )
        store = S3Store(Doors(Bucket(client, now, terms)), now)
        patience = Patience(tries=3, first=0.01, longest=0.02, stall=10)
        yield RemoteStorage(LateStore(lambda _: True, lambda: store), patience)


async def put_large(storage: RemoteStorage) -> Object:
    with TemporaryFile() as file:
        file.truncate(LARGE)
        return await storage.put(file, "s3://bucket/a")


@pytest.mark.parametrize("kind", ["list", "begin", "part", "complete"])
@pytest.mark.parametrize(
    "fault",
    [status(500), status(503, SLOW), status(429), status(400, EXPIRED), status(408), reset],
    ids=["500", "503", "429", "expired", "408", "reset"],
)
async def test_a_large_upload_outlasts_what_passes(
    storage: RemoteStorage, stormy: Stormy, kind: str, fault: Fault
) -> None:
    stormy.faults = {kind: [fault]}
    assert (await put_large(storage)).size_bytes == LARGE
    assert stormy.objects["/bucket/a"] == bytes(LARGE)
    assert stormy.kinds.count("part") <= 4, "the parts before are not sent again"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("part", status(403)),
        ("part", status(400, "<Error><Code>BadDigest</Code></Error>")),
        ("complete", status(400, "<Error><Code>InvalidPart</Code></Error>")),
        ("complete", status(403)),
    ],
)
async def test_of_a_large_upload_that_fails_no_part_stays(
    storage: RemoteStorage, stormy: Stormy, kind: str, fault: Fault
) -> None:
    stormy.faults = {kind: [fault] * 100, "forget": [status(503), reset]}
    with pytest.raises(FunnelError, match="s3://bucket/a: storing"):
        await put_large(storage)
    assert (stormy.uploads, stormy.objects) == (0, {})


async def test_an_error_after_the_beginning_of_a_success_is_one(
    storage: RemoteStorage, stormy: Stormy
) -> None:
    stormy.faults = {"complete": [status(200, "<Error><Code>InternalError</Code></Error>")]}
    assert (await put_large(storage)).size_bytes == LARGE
    assert stormy.kinds.count("begin") == 2
    assert stormy.kinds.count("forget") == 1


async def test_what_does_not_pass_is_said_in_the_end(
    storage: RemoteStorage, stormy: Stormy
) -> None:
    stormy.faults = {"put": [status(503, SLOW)] * 100}
    with pytest.raises(Unavailable, match="SlowDown: Please reduce your request rate"):
        await storage.put(BytesIO(b"x"), "s3://bucket/a")
    assert stormy.kinds == ["put"] * 3


async def test_credentials_that_expire_are_asked_for_anew(
    storage: RemoteStorage, stormy: Stormy
) -> None:
    stormy.faults = {"put": [status(400, EXPIRED)]}
    await storage.put(BytesIO(b"x"), "s3://bucket/a")
    assert stormy.keys == {"key0", "key1"}
    assert stormy.objects["/bucket/a"] == b"x"


async def test_who_may_not_look_for_old_parts_stores_all_the_same(
    storage: RemoteStorage, stormy: Stormy
) -> None:
    stormy.faults = {"list": [status(403)]}
    assert (await put_large(storage)).size_bytes == LARGE


async def test_what_is_cut_off_is_no_list(storage: RemoteStorage, stormy: Stormy) -> None:
    stormy.faults = {"list": [status(200, "<ListBucketResult><IsTruncated>fal")] * 2}
    assert await storage.list_objects("s3://bucket/a") == []
    assert stormy.kinds == ["list"] * 3


PAGES = {
    "plain": "<ListBucketResult>{}<Contents><Key>a/{}</Key></Contents></ListBucketResult>",
    "prefixed": "<x:ListBucketResult xmlns:x='u'>{}<x:Contents><x:Key>a/{}</x:Key></x:Contents>"
    "</x:ListBucketResult>",
}
ON = "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>"
MORE = {
    "plain": ON.format("t&amp;{}"),
    "other": f"<!--{ON.format('no')}-->{ON.format('t&amp;{}')}",
    "prefixed": re.sub(r"<(/?)", r"<\1x:", ON.format("t&amp;{}")),
    "in vain": f"<!--{ON.format('no{}')}-->",
}


@pytest.mark.parametrize(
    ("more", "form", "pages"),
    [("plain", "plain", 5), ("other", "plain", 5), ("prefixed", "prefixed", 5)],
)
async def test_page_follows_page_however_it_is_written(
    storage: RemoteStorage, stormy: Stormy, more: str, form: str, pages: int
) -> None:
    tokens = list[str]()

    def page(request: web.Request) -> web.Response:
        said = request.query.get("continuation-token", "t&0")
        if said == "no":
            return web.Response(status=400)
        number = int(said.partition("&")[2])
        tokens.append(said)
        on = MORE[more].format(number + 1) if number < pages - 1 else ""
        return web.Response(text=PAGES[form].format(on, number))

    stormy.faults = {"list": [page] * 100}
    found = await storage.list_objects("s3://bucket/a")
    assert [one.name for one in found] == [str(number) for number in range(pages)]
    assert tokens == [f"t&{number}" for number in range(pages)]


async def test_a_page_that_only_seemed_to_follow_is_none(
    storage: RemoteStorage, stormy: Stormy
) -> None:
    stormy.faults = {"list": [status(200, PAGES["plain"].format(MORE["in vain"], 1)), status(500)]}
    assert [one.name for one in await storage.list_objects("s3://bucket/a")] == ["1"]


async def test_many_uploads_share_the_credentials(storage: RemoteStorage, stormy: Stormy) -> None:
    puts = (storage.put(BytesIO(b"x"), f"s3://bucket/{number}") for number in range(20))
    await asyncio.gather(*puts)
    assert stormy.keys == {"key0"}
