"""Names that XML cannot carry as they are, from stores that quote them in lists and from others."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from s3_server import entry, generic, left, opened
from stores import Server
from webapp import served

from funnel.ports import Storage, Sweeper
from funnel.storage.s3.address import path_of
from funnel.storage.s3.settings import Entry
from funnel.storage.s3.upload import Upload
from funnel.testing.build import new_id

CONTROL = ("a\x01b", "\x0b", "tab\tin", "line\nin", "\x7f", "\x1f/\x02")
PLAIN = (
    "a+b",
    "a b",
    "a%2Bb",
    "100%",
    "%20",
    "a%zz",
    "ünïcode ✓",
    "a&b<c>",
    "+",
    "🜁",
    " x ",
    "q?#*~",
)
NOW = timedelta(seconds=-5)
"""An age that everything has."""
Quoting: TypeAlias = Callable[[str], str]


def by_form(text: str) -> str:
    """As Amazon and MinIO."""
    return quote_plus(text, safe="/*")


def by_percent(text: str) -> str:
    """As Ceph."""
    return quote(text, safe="/")


class Lists:
    """A store with these keys in its one bucket, of which it tells two at a time."""

    def __init__(self, keys: Iterable[str], quoting: Quoting | None) -> None:
        self._keys = sorted(keys)
        self._quoting = quoting
        self.gone = list[str]()

    async def answer(self, request: web.Request) -> web.Response:
        query = request.query
        if request.method == "DELETE":
            self.gone.append(request.path.removeprefix("/bucket/"))
            return web.Response(status=204)
        asked = query.get("encoding-type") == "url"
        told = self._quoting if self._quoting and asked else escape
        name, at = ("Upload", "key-marker") if "uploads" in query else ("Contents", "")
        after = query.get(at) or bytes.fromhex(query.get("continuation-token", "")).decode()
        left = [one for one in self._keys if one > after and one.startswith(query["prefix"])]
        things = "".join(
            f"<{name}><Key>{told(key)}</Key><UploadId>u</UploadId></{name}>" for key in left[:2]
        )
        on = ""
        if left[2:]:
            on = (
                f"<IsTruncated>true</IsTruncated><NextKeyMarker>{told(left[1])}</NextKeyMarker>"
                f"<NextContinuationToken>{left[1].encode().hex()}</NextContinuationToken>"
            )
        honoured = "<EncodingType>url</EncodingType>" if told is not escape else ""
        said = f"<Prefix>{told(query['prefix'])}</Prefix>{on}"
        return web.Response(text=f"<ListResult>{things}{said}{honoured}</ListResult>")


@asynccontextmanager
async def listing(
    keys: Iterable[str], quoting: Quoting | None
) -> AsyncGenerator[tuple[Lists, Storage]]:
    lists = Lists(keys, quoting)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", lists.answer)
    async with served(app) as address, generic(Entry(endpoint=address, anonymous=True)) as storage:
        yield lists, storage


@pytest.fixture
async def storage(s3: Server) -> AsyncGenerator[Storage]:
    async with generic(entry(s3)) as storage:
        yield storage


QUOTING = pytest.mark.parametrize(
    ("quoting", "names"),
    [
        pytest.param(by_form, (*PLAIN, *CONTROL[:2]), id="form"),
        pytest.param(by_percent, (*PLAIN, *CONTROL[:2]), id="percent"),
        pytest.param(None, PLAIN, id="as they are"),
    ],
)


@QUOTING
async def test_a_list_has_names_as_they_are(quoting: Quoting | None, names: Sequence[str]) -> None:
    keys = [f"{directory}/{name}" for directory in ("x y+z%\x01", "x") for name in names]
    async with listing(keys if quoting else keys[len(names) :], quoting) as (_, storage):
        for directory in ("x y+z%\x01", "x")[not quoting :]:
            found = await storage.list_objects(f"s3://bucket/{directory}/")
            assert [one.name for one in found] == sorted(names)
            assert [one.url for one in found] == [
                f"s3://bucket/{directory}/{name}" for name in sorted(names)
            ]


@QUOTING
async def test_old_parts_are_swept_whatever_their_key(
    quoting: Quoting | None, names: Sequence[str]
) -> None:
    keys = sorted(f"x/{name}" for name in names)
    async with listing(keys, quoting) as (lists, storage):
        assert await left(storage, "s3://bucket/x/") == keys
        assert isinstance(storage, Sweeper)
        assert await storage.sweep("s3://bucket/x/", NOW) == len(keys)
        assert lists.gone == keys


async def test_a_name_that_is_no_text_stays_one_that_can_be_asked_for() -> None:
    async with listing(["x/a"], lambda text: quote(text, safe="/").replace("/a", "/%FF")) as (
        _,
        storage,
    ):
        (found,) = await storage.list_objects("s3://bucket/x")
        assert found.name.encode(errors="surrogateescape") == b"\xff"


async def test_control_characters_are_listed_and_brought(storage: Storage, tmp_path: Path) -> None:
    url = f"s3://tests/{new_id()}"
    names = (*CONTROL, *PLAIN)
    for name in names:
        await storage.put(BytesIO(name.encode()), f"{url}/{name}")
    assert [one.name for one in await storage.list_objects(url)] == sorted(names)
    await storage.get(f"{url}/", tmp_path / "to")
    for name in names:
        assert (tmp_path / "to" / name).read_bytes() == name.encode()


async def test_old_parts_of_all_but_control_characters_are_swept(storage: Storage) -> None:
    """SeaweedFS says of uploads that it quotes their names, and does not."""
    url = f"s3://tests/{new_id()}"
    await storage.put(BytesIO(b"x"), f"{url}/there")
    for name in (CONTROL[0], *PLAIN):
        bucket, key = await opened(storage, f"{url}/{name}")
        await Upload(bucket, path_of(key), url, {}).begin()
    assert len(await left(storage, f"{url}/")) == len(PLAIN) + 1
    assert isinstance(storage, Sweeper)
    assert await storage.sweep(f"{url}/", NOW) == len(PLAIN) + 1
    assert len(await left(storage, f"{url}/")) == 1
