"""A DRS server of our own, with what it is given."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from webapp import served
from webs import HASTE, HERE, host, web_storage

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


async def got(storage: Storage, url: str, tmp_path: Path) -> bytes:
    found = await storage.get(url, tmp_path / "to")
    assert found.url == url
    return (tmp_path / "to").read_bytes()


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]
