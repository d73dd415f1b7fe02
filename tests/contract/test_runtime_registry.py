"""Pulling, from a registry that is real enough for the engine."""

import asyncio
import gzip
import hashlib
import io
import os
import shlex
import tarfile
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import webapp
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import json

from funnel.core.error import NotFound, Unavailable
from funnel.plugins import Host
from funnel.ports import Runtime
from funnel.runtime.address import candidates
from funnel.runtime.credentials import login
from funnel.runtime.docker import PLUGIN
from funnel.runtime.engine import Refusal, engine_at, segment
from funnel.runtime.settings import PullPolicy, Settings

pytestmark = pytest.mark.engine

TYPES = "application/vnd.docker."


class Registry:
    """
    One image of one file, for everybody, or for the one `user` and password.

    `broken` forgets the layer; `asked` counts looks at the manifest.
    """

    def __init__(self, *, broken: bool = False, user: str = "") -> None:
        self.asked = 0
        self._user = user
        # What the engine has of another registry it would not ask for again.
        layer = gzip.compress(_tree("hello.txt", uuid4().bytes))
        plain = gzip.decompress(layer)
        config = json.encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]},
            }
        )
        self._manifest = json.encode(
            {
                "schemaVersion": 2,
                "mediaType": f"{TYPES}distribution.manifest.v2+json",
                "config": _described("container.image.v1+json", config),
                "layers": [_described("image.rootfs.diff.tar.gzip", layer)],
            }
        )
        self._blobs = {_digest(config): config} | ({} if broken else {_digest(layer): layer})

    async def manifest(self, request: web.Request) -> web.Response:
        del request
        self.asked += 1
        kind = f"{TYPES}distribution.manifest.v2+json"
        headers = {"Docker-Content-Digest": _digest(self._manifest)}
        return web.Response(body=self._manifest, content_type=kind, headers=headers)

    async def blob(self, request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        if digest not in self._blobs:
            raise web.HTTPNotFound
        return web.Response(body=self._blobs[digest])

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        known = f"Basic {b64encode(self._user.encode()).decode()}"
        if self._user and request.headers.get("Authorization") != known:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="test"'})
        return await handler(request)


def _tree(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": TYPES + kind, "size": len(content), "digest": _digest(content)}


async def _root(request: web.Request) -> web.Response:
    del request
    return web.Response()


@asynccontextmanager
async def served(registry: Registry) -> AsyncGenerator[str]:
    """The image that the registry has, without a tag."""
    app = web.Application(middlewares=[registry.guard])
    app.router.add_get("/v2/", _root)
    app.router.add_get("/v2/funnel-test/pulled/manifests/{name}", registry.manifest)
    app.router.add_get("/v2/funnel-test/pulled/blobs/{digest}", registry.blob)
    async with webapp.served(app) as address:
        image = f"{address.removeprefix('http://')}/funnel-test/pulled"
        try:
            yield image
        finally:
            await _forget(image)


async def _forget(image: str) -> None:
    where = await asyncio.to_thread(lambda: list(candidates("", os.environ, Path.home())))
    async with engine_at(where, 30.0) as engine:
        with suppress(Refusal):
            await engine.do("DELETE", f"/images/{segment(image)}", params={"force": "1"})


@asynccontextmanager
async def opened(policy: PullPolicy) -> AsyncGenerator[Runtime]:
    host = Host(now=lambda: datetime(2100, 1, 1, tzinfo=UTC), deployment="test-registry")
    async with PLUGIN.make(Settings(pull_policy=policy), host) as runtime:
        yield runtime


async def test_an_image_is_pulled_once_and_then_is_here() -> None:
    registry = Registry()
    async with served(registry) as image, opened(PullPolicy.MISSING) as runtime:
        await runtime.pull(image)
        asked = registry.asked
        await runtime.pull(image)
        assert registry.asked == asked > 0
        assert await runtime.has_path(image, "/hello.txt")
        assert not await runtime.has_path(image, "/bin/sh")


async def test_the_registry_is_asked_each_time_where_that_is_wanted() -> None:
    registry = Registry()
    async with served(registry) as image, opened(PullPolicy.ALWAYS) as runtime:
        await runtime.pull(image)
        asked = registry.asked
        await runtime.pull(image)
        assert registry.asked > asked


async def test_an_image_that_the_registry_has_not_is_told_from_one_that_it_cannot_give() -> None:
    async with served(Registry()) as image, opened(PullPolicy.MISSING) as runtime:
        with pytest.raises(NotFound, match=f"cannot pull image '{image}-not'"):
            await runtime.pull(f"{image}-not")


async def test_a_failure_in_the_middle_of_a_pull_is_told_in_the_engines_words() -> None:
    async with served(Registry(broken=True)) as image, opened(PullPolicy.MISSING) as runtime:
        with pytest.raises(Unavailable, match=r"cannot pull image '127.*pulled': .*blob"):
            await runtime.pull(image)


USER = "me:a secret:with a colon"


def in_file(folder: Path, host: str) -> dict[str, object]:
    del folder
    return {"auths": {f"https://{host}/v1/": {"auth": b64encode(USER.encode()).decode()}}}


def with_helper(folder: Path, host: str) -> dict[str, object]:
    helper(folder, f'read -r name; [ "$name" = {host} ] && echo {shlex.quote(GIVEN)}')
    return {"credHelpers": {host: "test"}, "credsStore": "none"}


def with_store(folder: Path, host: str) -> dict[str, object]:
    del host
    helper(folder, f"cat >/dev/null; echo {shlex.quote(GIVEN)}")
    return {"credsStore": "test"}


def with_helper_that_fails(folder: Path, host: str) -> dict[str, object]:
    helper(folder, f"cat >/dev/null; echo {shlex.quote(GIVEN)}; exit 1")
    return {"credsStore": "test", **in_file(folder, host)}


GIVEN = json.encode(dict(zip(("Username", "Secret"), USER.split(":", 1), strict=True))).decode()


def helper(folder: Path, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)


@pytest.mark.parametrize("kept", [in_file, with_helper, with_store, with_helper_that_fails])
async def test_an_image_is_pulled_with_what_docker_login_has_kept(
    kept: Callable[[Path, str], dict[str, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with served(Registry(user=USER)) as image, opened(PullPolicy.MISSING) as runtime:
        with pytest.raises(Unavailable, match="no basic auth credentials"):
            await runtime.pull(image)
        config = kept(tmp_path, image.partition("/")[0])
        (tmp_path / "config.json").write_bytes(json.encode(config))
        await runtime.pull(image)
        assert await runtime.has_path(image, "/hello.txt")
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"auths": {"HOST": {"auth": "!"}}}',
        '{"credsStore": "no such"}',
        '{"credsStore": "no"}',
    ],
)
async def test_a_login_that_cannot_be_read_is_told_and_the_image_pulled_without(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with served(Registry()) as image, opened(PullPolicy.MISSING) as runtime:
        host = image.partition("/")[0]
        (tmp_path / "config.json").write_text(text.replace("HOST", host))
        await runtime.pull(image)
    assert "login" in caplog.text


async def test_a_login_is_told_to_its_own_registry_only(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(json.encode(in_file(tmp_path, "127.0.0.1:5")))
    where = {"DOCKER_CONFIG": str(tmp_path)}
    assert await login("127.0.0.1:5/a", where, tmp_path)
    for image in ("127.0.0.1:55/a", "127.0.0.1/a", "a", "a/b", "docker.io/a"):
        assert not await login(image, where, tmp_path)
