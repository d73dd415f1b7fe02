import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from webapp import served
from webs import HASTE, HERE, host, web_storage

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.reach import Reach
from funnel.core.secret import Secret
from funnel.ports import Storage
from funnel.storage.drs import PLUGIN, Settings
from funnel.storage.hosts import WebHost
from funnel.storage.memory import MemoryStorage
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router

PREFIX = "/ga4gh/drs/v1/objects"
CONTENT = b"what it is"


@dataclass
class Repository:
    """A DRS server with what it is given, and files that want a header."""

    port: int = 0
    objects: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    access: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    asked: list[str] = field(default_factory=list[str])
    files_shown: list[str] = field(default_factory=list[str])
    bearer: str = ""
    later: int = 0
    """Times that it says to come again."""

    @property
    def at(self) -> str:
        return f"drs://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/files/{name}"

    def blob(self, name: str, *methods: dict[str, Any], **given: Any) -> str:
        """Add an object; by https, if nothing else is said."""
        self.files.setdefault(name, CONTENT)
        by_web = {"type": "https", "access_url": {"url": self.url(name), "headers": None}}
        self.objects[name] = {
            "id": name,
            "self_uri": f"{self.at}/{name}",
            "size": len(CONTENT),
            "created_time": "2020-01-01T00:00:00Z",
            "updated_time": "2021-02-03T04:05:06.7Z",
            "checksums": [{"type": "sha-256", "checksum": hashlib.sha256(CONTENT).hexdigest()}],
            "access_methods": list(methods) or [by_web],
            "contents": None,
            **given,
        }
        return f"{self.at}/{name}"

    def bundle(self, name: str, **contents: dict[str, Any]) -> str:
        entries = [{"name": key, **one} for key, one in contents.items()]
        self.objects[name] = {"id": name, "size": 0, "contents": entries}
        return f"{self.at}/{name}"

    async def hear(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.bearer and request.headers.get("Authorization") != f"Bearer {self.bearer}":
            return web.json_response({"msg": "who are you", "status_code": 401}, status=401)
        if self.later:
            self.later -= 1
            return web.Response(status=202, headers={"Retry-After": "0"})
        key = request.match_info["id"]
        found = self.access if "access" in request.path else self.objects
        key = request.match_info.get("access", key)
        if key not in found:
            return web.json_response({"msg": "no such object", "status_code": 404}, status=404)
        return web.json_response(found[key])

    async def give(self, request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "")
        self.files_shown.append(shown)
        name = request.match_info["name"]
        if name.startswith("guarded") and shown != "Bearer for-this-file":
            return web.Response(status=403)
        return web.Response(body=self.files[name], headers={"ETag": '"1"'})


@pytest.fixture
async def drs() -> AsyncGenerator[Repository]:
    one, app = Repository(), web.Application()
    app.router.add_get(f"{PREFIX}/{{id}}", one.hear)
    app.router.add_get(f"{PREFIX}/{{id}}/access/{{access}}", one.hear)
    app.router.add_get("/files/{name}", one.give)
    async with served(app) as address:
        one.port = int(address.rpartition(":")[2])
        yield one


@asynccontextmanager
async def routed(
    drs: Repository, *, reach: Reach = HERE, bearer: str = "", plain_text: bool = True
) -> AsyncGenerator[Router]:
    here = WebHost(host=f"127.0.0.1:{drs.port}", token=Secret(bearer), plain_text=plain_text)
    settings = Settings(hosts=(here,), access=("https", "mem", "file", "drs"))
    storages = list[Storage]([MemoryStorage()])
    router = Router(storages)
    async with (
        web_storage(reach=reach) as by_web,
        PLUGIN.make(settings, host(reach, store=router.store)) as made,
    ):
        storages += [by_web, RemoteStorage(made.store, HASTE)]
        yield router


@pytest.fixture
async def storage(drs: Repository) -> AsyncGenerator[Router]:
    async with routed(drs) as router:
        yield router


async def got(storage: Storage, url: str, tmp_path: Path) -> bytes:
    found = await storage.get(url, tmp_path / "to")
    assert found.url == url
    return (tmp_path / "to").read_bytes()


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


async def test_an_object_is_brought_from_where_it_is(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    url = drs.blob("a")
    found = await storage.stat(url)
    assert (found.url, found.size_bytes, found.checksums) == (
        url,
        len(CONTENT),
        {"sha256": hashlib.sha256(CONTENT).hexdigest()},
    )
    assert found.last_modified is not None
    assert await got(storage, url, tmp_path) == CONTENT


async def test_what_gives_access_is_asked_for_and_shown_to_that_host(
    drs: Repository, tmp_path: Path
) -> None:
    drs.access["way"] = {
        "url": drs.url("guarded"),
        "headers": ["authorization: Bearer for-this-file", "Host: elsewhere", "Range: bytes=1-2"],
    }
    url = drs.blob("guarded", {"type": "https", "access_id": "way"})
    drs.bearer = "of-the-repository"
    async with routed(drs) as storage:
        with pytest.raises(Denied, match=r"answered 401.*who are you.*DRSStorage\.Hosts") as caught:
            await storage.stat(url)
        assert "of-the-repository" not in str(caught.value)
    async with routed(drs, bearer="of-the-repository") as storage:
        assert await got(storage, url, tmp_path) == CONTENT
    assert drs.asked[-1] == f"{PREFIX}/guarded/access/way"
    assert drs.files_shown == ["Bearer for-this-file"]


async def test_other_ways_are_tried_where_one_fails(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    await storage.put(BytesIO(CONTENT), "mem://there")
    url = drs.blob(
        "a",
        {"type": "mem", "access_url": {"url": "mem://there"}},
        {"type": "https", "access_url": {"url": drs.url("guarded-from-us")}},
        {"type": "globus", "access_url": {"url": "globus://x"}},
    )
    assert await got(storage, url, tmp_path) == CONTENT
    assert drs.files_shown == [""]


@pytest.mark.parametrize(
    "wrong", [{"size": 4}, {"checksums": [{"type": "md5", "checksum": "0" * 32}]}]
)
async def test_what_is_not_as_the_repository_says_is_not_taken(
    storage: Router, drs: Repository, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    url = drs.blob("a", **wrong)
    with pytest.raises(FunnelError, match=r"should have 4 bytes|md5 of what came"):
        await storage.get(url, tmp_path / "to")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("type_", "leads"),
    [
        ("file", "file:///etc/passwd"),
        ("https", "file:///etc/passwd"),
        ("https", "/etc/passwd"),
        ("https", "http://10.0.0.1/x"),
        ("https", "http://169.254.169.254/latest/meta-data"),
        ("https", "https://[::ffff:169.254.169.254]/"),
        ("https", "mem://there"),
        ("drs", "drs://127.0.0.1/a"),
    ],
)
async def test_no_repository_leads_where_nobody_may_go(
    storage: Router, drs: Repository, tmp_path: Path, type_: str, leads: str
) -> None:
    await storage.put(BytesIO(CONTENT), "mem://there")
    url = drs.blob("a", {"type": type_, "access_url": {"url": leads}})
    with pytest.raises((Denied, Invalid)):
        await storage.get(url, tmp_path / "to")
    assert names_in(tmp_path) == []


async def test_a_repository_must_be_where_one_may_go(drs: Repository) -> None:
    async with routed(drs, reach=Reach()) as storage:
        with pytest.raises(Denied, match=r"Outbound\.AllowedNetworks"):
            await storage.stat(drs.blob("a"))
    assert drs.asked == []


async def test_repositories_are_asked_over_https(drs: Repository) -> None:
    async with routed(drs, plain_text=False) as storage:
        with pytest.raises((Denied, Unavailable), match=f"127.0.0.1:{drs.port}"):
            await storage.stat(drs.blob("a"))
    assert drs.asked == []


async def test_a_bundle_is_a_directory(storage: Router, drs: Repository, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        drs.blob(name)
    drs.bundle("deep", **{"c file": {"id": "c"}})
    url = drs.bundle(
        "all",
        a={"id": "a"},
        inner={"drs_uri": [f"{drs.at}/deep"]},
        flat={"contents": [{"name": "b", "id": "b"}]},
    )
    assert (await storage.stat(url)).size_bytes == 0
    found = await storage.list_objects(url)
    assert [(one.name, one.url, one.size_bytes) for one in found] == [
        (name, f"{url}/{name}", len(CONTENT)) for name in ("a", "flat/b", "inner/c file")
    ]
    for one in found:
        assert await got(storage, one.url, tmp_path) == CONTENT
    assert drs.asked.count(f"{PREFIX}/all") == 1
    with pytest.raises(NotFound, match="'none' in this bundle"):
        await storage.stat(f"{url}/inner/none")


async def test_a_bundle_without_end_is_refused(storage: Router, drs: Repository) -> None:
    drs.bundle("round", again={"id": "round"})
    with pytest.raises(Invalid, match="use an archive"):
        await storage.list_objects(f"{drs.at}/round")


@pytest.mark.parametrize("name", ["../x", "..", "a/b", ""])
async def test_names_in_a_bundle_lead_nowhere_else(
    storage: Router, drs: Repository, name: str
) -> None:
    drs.blob("a")
    with pytest.raises(Invalid, match="has a name"):
        await storage.list_objects(drs.bundle("all", **{name: {"id": "a"}}))


async def test_one_that_takes_its_time_is_asked_again(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    drs.later = 3
    assert await got(storage, drs.blob("a"), tmp_path) == CONTENT


@pytest.mark.parametrize(
    "url", ["drs://", "drs:///a", "drs://host", "drs://host/", "drs://dg.4503:abc", "drs://u@h/a"]
)
async def test_what_names_no_object_is_refused(storage: Router, url: str) -> None:
    with pytest.raises(Invalid, match="write drs://host/id"):
        await storage.stat(url)


async def test_it_is_read_only(storage: Router, drs: Repository) -> None:
    with pytest.raises(NotFound, match="no such object"):
        await storage.stat(f"{drs.at}/none")
    with pytest.raises(Denied, match="nothing can be stored"):
        await storage.put(BytesIO(b"x"), f"{drs.at}/a")
    assert storage.takes("DRS://host/id")


async def test_nonsense_is_no_answer(storage: Router, drs: Repository) -> None:
    drs.objects["a"] = {"size": "much"}
    with pytest.raises(Invalid, match="does not answer as DRS has it"):
        await storage.stat(f"{drs.at}/a")
