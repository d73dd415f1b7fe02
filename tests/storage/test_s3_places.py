"""Amazon's S3 beside another store that speaks as it does: who is asked for what, and as whom."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from s3_server import host
from stores import Server
from webapp import served

from funnel.core.error import Denied, FunnelError, NotFound
from funnel.core.secret import Secret
from funnel.plugins import Plugin
from funnel.ports import Storage
from funnel.storage.content import PART
from funnel.storage.router import Router, opened
from funnel.storage.s3.plugin import AMAZON, GENERIC
from funnel.storage.s3.settings import (
    AmazonSettings,
    AWSConfig,
    Encryption,
    Entry,
    GenericSettings,
)
from funnel.testing.build import new_id

SEAL = "x-amz-server-side-encryption"
KMS = {SEAL, f"{SEAL}-aws-kms-key-id"}
CUSTOMER = {f"{SEAL}-customer-{name}" for name in ("algorithm", "key", "key-md5")}
PAYER = {"x-amz-request-payer"}
TOLD = KMS | CUSTOMER | PAYER


class Other:
    """A store with the bucket `there`, which writes down who comes, and as whom."""

    def __init__(self) -> None:
        self.address = ""
        self.asked: list[str] = []
        self.who: set[str] = set()
        self.status = 200
        self.has = {"there"}
        self.seals: list[tuple[str, str, set[str]]] = []
        """Of each request what it was, and what it says of keys and payment."""

    async def answer(self, request: web.Request) -> web.Response:
        bucket = request.path.split("/")[1]
        who = request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        self.who.add(who)
        self.asked.append(f"{request.method} {request.path}")
        await request.read()
        what = "uploads" if "uploads" in request.query else "part" * ("partNumber" in request.query)
        told = {name.lower() for name in request.headers} & TOLD
        self.seals.append((request.method, what, told))
        if bucket not in self.has:
            return web.Response(status=404)
        text = "<R><UploadId>u</UploadId><ETag>x</ETag></R>" if request.method == "POST" else ""
        return web.Response(status=self.status, text=text, headers={"ETag": "x"})


@pytest.fixture
async def other() -> AsyncGenerator[Other]:
    found = Other()
    app = web.Application(client_max_size=PART + 1)
    app.router.add_route("*", "/{any:.*}", found.answer)
    async with served(app) as address:
        found.address = address.removeprefix("http://")
        yield found


@pytest.fixture
async def both(s3: Server, other: Other) -> AsyncGenerator[Storage]:
    """SeaweedFS is there for Amazon's, as the settings have it."""
    config = AWSConfig(endpoint=f"http://{s3.address}", key="tester", secret=Secret("testing"))
    entries = (Entry(endpoint=other.address, key="others-key", secret=Secret("others")),)
    async with both_of(AmazonSettings(aws_config=config), entries) as storage:
        yield storage


def both_of(
    amazon: AmazonSettings, entries: tuple[Entry, ...]
) -> AbstractAsyncContextManager[Router]:
    settings = {AMAZON.section: amazon, GENERIC.section: GenericSettings(entries)}

    def of(plugin: Plugin[Any, Any]) -> Any:
        return settings.get(plugin.section) or plugin.settings()

    return opened(of, host())


async def test_a_bucket_that_the_other_store_lacks_is_amazons(
    both: Storage, other: Other, tmp_path: Path
) -> None:
    url = f"s3://tests/{new_id()}/a"
    await both.put(BytesIO(b"amazon"), url)
    await both.get(url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"amazon"
    assert [one.name for one in await both.list_objects(url.removesuffix("/a"))] == ["a"]
    assert (other.asked, other.who) == (["HEAD /tests/"], {"others-key"})


async def test_a_bucket_that_the_other_store_has_is_there(both: Storage, other: Other) -> None:
    await both.put(BytesIO(b"x"), "s3://there/a")
    await both.put(BytesIO(b"x"), "s3://there/b")
    assert other.asked == ["HEAD /there/", "PUT /there/a", "PUT /there/b"]
    assert other.who == {"others-key"}


async def test_a_bucket_that_is_not_for_us_is_there_all_the_same(
    both: Storage, other: Other
) -> None:
    other.status = 403
    with pytest.raises(Denied, match="GenericS3"):
        await both.put(BytesIO(b"x"), "s3://there/a")


async def test_an_endpoint_in_the_url_leaves_no_choice(both: Storage, other: Other) -> None:
    with pytest.raises(NotFound):
        await both.stat(f"s3://{other.address}/tests/a")
    assert (other.asked[0], other.who) == ("HEAD /tests/a", {"others-key"})


@pytest.mark.parametrize("how", ["kms", "customer", "generic"])
async def test_keys_and_payment_are_told_where_the_store_wants_to_know(
    other: Other, tmp_path: Path, how: str
) -> None:
    (tmp_path / "key").write_bytes(bytes(32))
    sse = Encryption(kms_key="k") if how == "kms" else Encryption()
    sse = Encryption(customer_key_file=str(tmp_path / "key")) if how == "customer" else sse
    key, secret = "others-key", Secret("others")
    config = AWSConfig(endpoint=f"http://{other.address}", key=key, secret=secret)
    amazon = AmazonSettings(aws_config=config, sse=sse, requester_pays=True)
    one = Entry(endpoint=other.address, key=key, secret=secret, kms_key_id="k", requester_pays=True)
    writing = CUSTOMER if how == "customer" else KMS
    reading = CUSTOMER if how == "customer" else set[str]()
    generic = how == "generic"
    async with both_of(AmazonSettings() if generic else amazon, (one,) if generic else ()) as both:
        await both.put(BytesIO(b"small"), "s3://there/a")
        await both.put(BytesIO(bytes(2 * PART + 1)), "s3://there/b")
        with suppress(FunnelError):
            await both.stat("s3://there/a")
    found = {(method, what): told for method, what, told in other.seals}
    assert all(told >= PAYER for told in found.values())
    assert {what: told - PAYER for what, told in found.items()} == {
        ("PUT", ""): writing,
        ("GET", "uploads"): set(),
        ("POST", "uploads"): writing,
        ("PUT", "part"): reading,
        ("POST", ""): set(),
        ("HEAD", ""): reading,
    }
