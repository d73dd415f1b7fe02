"""What is particular to stores that speak S3, against SeaweedFS."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from faulty import FaultyLine, answer_lost, refused
from msgspec.structs import replace
from s3_server import amazon, entry, generic, host, left, opened
from stores import Server

from funnel.core.error import Denied, Invalid, NotFound
from funnel.core.secret import Secret
from funnel.plugins import find, names
from funnel.ports import Object, Storage, Sweeper
from funnel.storage.calls import Call
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router
from funnel.storage.s3.address import path_of
from funnel.storage.s3.settings import (
    AmazonSettings,
    AWSConfig,
    BucketKeys,
    Encryption,
    Entry,
    GenericSettings,
)
from funnel.storage.s3.upload import Upload
from funnel.testing.build import new_id
from funnel.testing.storage import Endless

LARGE = 40 << 20
NOW = timedelta(seconds=-5)
"""An age that everything has."""


@pytest.fixture
async def storage(s3: Server) -> AsyncGenerator[Storage]:
    async with generic(entry(s3)) as storage:
        yield storage


@pytest.fixture
def base() -> str:
    return f"s3://tests/{new_id()}"


async def content(storage: Storage, url: str, tmp_path: Path) -> bytes:
    await storage.get(url, tmp_path / "got")
    return (tmp_path / "got").read_bytes()


@pytest.mark.parametrize(
    ("user", "words"), [("nobody", "InvalidAccessKeyId"), ("reader", "AccessDenied")]
)
async def test_who_is_denied_hears_why_and_where_to_look(
    s3: Server, base: str, user: str, words: str
) -> None:
    async with generic(entry(s3, user)) as storage:
        with pytest.raises(Denied, match=rf"{base}/a: storing failed: {words}.*GenericS3"):
            await storage.put(BytesIO(b"x"), f"{base}/a")


async def test_a_wrong_secret_is_denied_and_not_shown(s3: Server, base: str) -> None:
    wrong = Entry(endpoint=s3.address, key="tester", secret=Secret("not-the-secret"))
    async with generic(wrong) as storage:
        with pytest.raises(Denied, match=r"SignatureDoesNotMatch.*check the secret") as caught:
            await storage.list_objects(base)
    assert "not-the-secret" not in str(caught.value)


async def test_a_missing_bucket_is_named(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="NoSuchBucket"):
        await storage.list_objects("s3://nowhere/a")
    with pytest.raises(NotFound, match="NoSuchBucket"):
        await storage.get("s3://nowhere/a", tmp_path / "a")


async def test_nobody_reads_what_is_public_and_nothing_else(
    s3: Server, storage: Storage, tmp_path: Path
) -> None:
    name = new_id()
    await storage.put(BytesIO(b"open"), f"s3://public/{name}/a")
    await storage.put(BytesIO(b"closed"), f"s3://tests/{name}/a")
    for one in (Entry(endpoint=s3.address), Entry(endpoint=s3.address, key="x", anonymous=True)):
        async with generic(one) as nobody:
            assert await content(nobody, f"s3://public/{name}/a", tmp_path) == b"open"
            assert [one.name for one in await nobody.list_objects(f"s3://public/{name}")] == ["a"]
            with pytest.raises(Denied, match="no credentials"):
                await nobody.get(f"s3://tests/{name}/a", tmp_path / "b")
            with pytest.raises(Denied):
                await nobody.put(BytesIO(b"x"), f"s3://public/{name}/b")


async def test_a_bucket_may_have_credentials_of_its_own(
    s3: Server, base: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("testing\n")
    own = BucketKeys(name="tests", key="tester", secret_file=str(tmp_path / "secret"))
    async with generic(entry(s3, "nobody", buckets=(own,))) as storage:
        await storage.put(BytesIO(b"x"), f"{base}/a")
        with pytest.raises(Denied):
            await storage.list_objects("s3://public/a")
    lost = BucketKeys(name="tests", key="tester", secret_file=str(tmp_path / "none"))
    async with generic(entry(s3, buckets=(lost,))) as storage:
        with pytest.raises(Invalid, match="SecretFile cannot be read"):
            await storage.stat(f"{base}/a")


async def test_two_endpoints_are_told_apart_by_the_url(
    s3: Server, base: str, tmp_path: Path
) -> None:
    here, there = s3.address, f"localhost:{s3.port}"
    path = base.removeprefix("s3://")
    entries = (entry(s3), Entry(endpoint=there, key="reader", secret=Secret("reading")))
    async with generic(*entries) as storage:
        url = f"s3://{here}/{path}/dir"
        assert (await storage.put(BytesIO(b"x"), f"{url}/a")).url == f"{url}/a"
        assert [one.url for one in await storage.list_objects(url)] == [f"{url}/a"]
        assert await content(storage, f"s3://{there}/{path}/dir/a", tmp_path) == b"x"
        with pytest.raises(Denied):
            await storage.put(BytesIO(b"y"), f"s3://{there}/{path}/dir/a")
        with pytest.raises(Invalid, match=rf"{base}/dir/a is ambiguous.*{here} or {there}"):
            await storage.get(f"{base}/dir/a", tmp_path / "a")
        with pytest.raises(Invalid, match="neither a bucket nor an endpoint"):
            await storage.get(f"s3://elsewhere:1/{path}/dir/a", tmp_path / "a")
    named = Entry(endpoint=there, key="reader", secret=Secret("reading"), bucket="tests")
    async with generic(entry(s3), named) as storage:
        assert await content(storage, f"{base}/dir/a", tmp_path) == b"x"
        with pytest.raises(Denied):
            await storage.put(BytesIO(b"y"), f"{base}/dir/a")


async def test_an_entry_that_may_have_a_bucket_is_asked_before_amazon(
    s3: Server, base: str
) -> None:
    settings = {
        "GenericS3": GenericSettings((entry(s3, bucket="tests"),)),
        "AmazonS3": AmazonSettings(aws_config=AWSConfig(endpoint=s3.address, key="x")),
    }
    async with AsyncExitStack() as stack:
        plugins = [find("storage", name) for name in names("storage")]
        made = [
            await stack.enter_async_context(one.make(settings[one.section], host()))
            for one in plugins
            if one.section in settings
        ]
        router = Router(made)
        assert (await router.put(BytesIO(b"x"), f"{base}/a")).size_bytes == 1
        with pytest.raises(Invalid, match=r"AmazonS3\.AWSConfig\.Secret is missing"):
            await router.stat("s3://others/a")


async def test_what_a_key_of_ones_own_seals_opens_with_it_only(
    s3: Server, storage: Storage, base: str, tmp_path: Path
) -> None:
    keys = [tmp_path / "key", tmp_path / "other"]
    for key in keys:
        key.write_bytes(os.urandom(32))
    mine, other = (Encryption(customer_key_file=str(key)) for key in keys)
    await storage.put(BytesIO(b"open"), f"{base}/open")
    async with amazon(s3, sse=mine) as sealed:
        await sealed.put(BytesIO(b"small"), f"{base}/small")
        with TemporaryFile() as file:
            file.truncate(LARGE)
            await sealed.put(file, f"{base}/large")
        assert await content(sealed, f"{base}/small", tmp_path) == b"small"
        assert (await sealed.stat(f"{base}/large")).size_bytes == LARGE
        assert (await sealed.get(f"{base}/large", tmp_path / "large")).size_bytes == LARGE
        assert await content(sealed, f"{base}/open", tmp_path) == b"open"
    async with amazon(s3, sse=other) as stranger:
        for name in ("small", "large"):
            with pytest.raises((Denied, Invalid)):
                await stranger.get(f"{base}/{name}", tmp_path / "no")
    with pytest.raises((Denied, Invalid)):
        await storage.get(f"{base}/small", tmp_path / "no")
    assert not (tmp_path / "no").exists()


async def test_a_key_of_another_length_is_refused(s3: Server, base: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    async with amazon(s3, sse=Encryption(customer_key_file=str(tmp_path / "key"))) as storage:
        with pytest.raises(Invalid, match="has 5 bytes; a key has 32"):
            await storage.put(BytesIO(b"x"), f"{base}/a")


async def test_names_that_only_other_tools_make_do_no_harm(
    storage: Storage, base: str, tmp_path: Path
) -> None:
    """A folder, as consoles make one, is no file."""
    await storage.put(BytesIO(b"x"), f"{base}/dir/sub/a")
    bucket, key = await opened(storage, f"{base}/dir/sub/")
    await bucket.text(Call(url=base, deed="storing", method="PUT", path=path_of(key)))
    assert [one.name for one in await storage.list_objects(f"{base}/dir")] == ["sub/a"]
    await storage.get(f"{base}/dir", tmp_path / "to")
    assert (tmp_path / "to" / "sub" / "a").read_bytes() == b"x"


async def test_a_whole_bucket_is_a_directory(storage: Storage, tmp_path: Path) -> None:
    name = f"whole-{new_id()}"
    await storage.put(BytesIO(b"x"), f"s3://{name}/a/b")
    for url in (f"s3://{name}", f"s3://{name}/"):
        assert [one.name for one in await storage.list_objects(url)] == ["a/b"]
        await storage.get(url, tmp_path / "to")
        assert (tmp_path / "to" / "a" / "b").read_bytes() == b"x"
        assert (await storage.stat(url)).size_bytes == 0


async def test_the_md5_is_known_of_what_came_in_one_piece(storage: Storage, base: str) -> None:
    await storage.put(BytesIO(b"hello\n"), f"{base}/a")
    with TemporaryFile() as file:
        file.truncate(LARGE)
        await storage.put(file, f"{base}/b")
    assert (await storage.stat(f"{base}/a")).checksums == {
        "md5": "b1946ac92492d2347c6235b4d2611184"
    }
    assert (await storage.stat(f"{base}/b")).checksums == {}


async def test_of_an_upload_that_is_cancelled_no_part_stays(storage: Storage, base: str) -> None:
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    source = Endless(lambda: loop.call_soon_threadsafe(started.set))
    putting = asyncio.create_task(storage.put(source, f"{base}/a"))
    await started.wait()
    assert len(await left(storage, f"{base}/a")) == 1
    putting.cancel()
    await asyncio.wait([putting])
    source.end = True
    assert await left(storage, f"{base}/a") == []
    assert await storage.list_objects(base) == []


async def test_of_an_upload_that_fails_no_part_stays(storage: Storage, base: str) -> None:
    class Failing(BytesIO):
        def seekable(self) -> bool:
            return False

        def read(self, size: int | None = -1, /) -> bytes:
            if piece := super().read(size):
                return piece
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        await storage.put(Failing(bytes(LARGE)), f"{base}/a")
    assert await left(storage, base) == []


async def begun(storage: Storage, url: str) -> None:
    """As by a program that was killed."""
    bucket, key = await opened(storage, url)
    await Upload(bucket, path_of(key), url, {}).begin()


async def test_what_a_killed_program_left_is_swept_and_no_more(storage: Storage, base: str) -> None:
    assert isinstance(storage, RemoteStorage)
    for name in ("dir/a", "dir/ab", "dir2/a"):
        await begun(storage, f"{base}/{name}")
    assert await storage.sweep(f"{base}/dir/", timedelta(hours=1)) == 0
    assert await storage.sweep(f"{base}/dir/a", NOW) == 1
    assert sorted(await left(storage, base)) == sorted(
        f"{base}/{name}".removeprefix("s3://tests/") for name in ("dir/ab", "dir2/a")
    )
    assert await storage.sweep(f"{base}/dir/", NOW) == 1
    assert await storage.sweep(f"{base}/", NOW) == 1
    assert await left(storage, base) == []


async def test_where_nothing_can_be_left_nothing_is_swept(s3: Server) -> None:
    del s3
    async with find("storage", "local").make(find("storage", "local").settings(), host()) as local:
        assert not isinstance(local, Sweeper)
        with pytest.raises(Invalid, match="nothing is left"):
            await Router([local]).sweep("/tmp", NOW)


async def test_objects_say_what_they_are(storage: Storage, base: str) -> None:
    await storage.put(BytesIO(b"hello\n"), f"{base}/a")
    looked = await storage.stat(f"{base}/a")
    (listed,) = await storage.list_objects(base)
    for found in (looked, listed):
        assert isinstance(found, Object)
        assert found.etag.strip('"') == "b1946ac92492d2347c6235b4d2611184"
        assert found.last_modified
    assert looked.last_modified == listed.last_modified


@pytest.mark.parametrize("then", ["as it is", "forgotten"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_an_upload_whose_last_answer_is_lost_is_stored(
    s3: Server, storage: Storage, base: str, then: str, *, overwrite: bool
) -> None:
    """Some stores know nothing of an upload once it is complete."""
    strikes = [answer_lost, *([refused(404, b"NoSuchUpload")] if then == "forgotten" else [])]

    def choose(_: int, asked: str) -> Any:
        is_end = asked.startswith("POST") and "uploadId" in asked
        return strikes.pop(0) if is_end and strikes else None

    body = os.urandom(20 << 20)
    async with (
        FaultyLine(s3.address, choose).running() as line,
        generic(replace(entry(s3), endpoint=f"http://{line.address}")) as far,
    ):
        stored = await far.put(BytesIO(body), f"{base}/a", overwrite=overwrite)
    assert not strikes
    found = await storage.stat(f"{base}/a")
    assert (stored.size_bytes, stored.etag) == (len(body), found.etag)
