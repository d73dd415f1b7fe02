"""fake-gcs-server as the tests have it, and the doorkeeper that it lacks."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import jwt
import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import json
from stores import Server, running
from webapp import served
from yarl import URL

from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.google.plugin import PLUGIN, GoogleSettings

KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM: Final = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
HOP: Final = frozenset({"transfer-encoding", "connection", "host", "content-encoding"})


def google(**settings: Any) -> AbstractAsyncContextManager[Storage]:
    return PLUGIN.make(GoogleSettings(**settings), Host(now=now, deployment="test"))


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("gcs", tmp_path_factory.mktemp("gcs")) as server:
        httpx.post(
            f"http://{server.address}/storage/v1/b",
            params={"project": "test"},
            json={"name": "tests"},
        ).raise_for_status()
        yield server


class Doorkeeper:
    """
    Asks for tokens as Google does, gives them to service accounts, and hands the rest on.

    It also knows how far an upload is, which the emulator forgets when it is asked, and looks at
    checksums and generations. `trouble` is what it does to what is stored next: "lost" before it
    has come, "unheard" when it has, and "spoiled" on the way; "spoiled unseen" if it does not look.
    """

    def __init__(self, server: Server) -> None:
        self._behind = f"http://{server.address}"
        self.address = ""
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.renewals = 0
        self.valid: set[str] = set()
        self._kept: dict[str, str] = {}
        self._come: dict[str, bytes] = {}
        self._new: dict[str, str] = {}
        """Where there must be nothing, by the uploads that ask for that."""
        self._deciding = asyncio.Lock()

    def account(self, folder: Path, who: str, key: rsa.RSAPrivateKey = KEY) -> str:
        """A file as Google makes it."""
        file = folder / f"{who}.json"
        told = {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "1",
            "private_key": key.private_bytes(*PEM).decode(),
            "client_email": who,
            "token_uri": f"{self.address}/token",
        }
        file.write_bytes(json.encode(told))
        return str(file)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return await self._token(request)
        self.asked.append(f"{request.method} {request.path_qs}")
        if "upload_id" in request.query:
            return await self._chunk(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            return _refused(401, "Invalid Credentials")
        if token.startswith("reader") and request.method != "GET":
            return _refused(403, "reader does not have storage.objects.create access")
        return await self._known(request)

    async def _known(self, request: web.Request) -> web.StreamResponse:
        kind = request.query.get("uploadType")
        if kind == "media":
            trouble, target = self._trouble(), self._target(request)
            return await self._alone(target, lambda: self._stored(request, b"", trouble))
        if kind == "resumable":
            answer = await self._on(request)
            upload = URL(answer.headers.get("Location", "")).query.get("upload_id", "")
            self._new[upload] = self._target(request)
            return answer
        return await self._if_it_is(request)

    def _target(self, request: web.Request) -> str:
        if request.query.get("ifGenerationMatch") != "0":
            return ""
        bucket, name = request.path.split("/")[-2], quote(request.query["name"], safe="")
        return f"{self._behind}/storage/v1/b/{bucket}/o/{name}"

    async def _alone(
        self, target: str, storing: Callable[[], Awaitable[web.Response]]
    ) -> web.Response:
        """One at a time, and only where nothing is, if there is a target."""
        if not target:
            return await storing()
        async with self._deciding, ClientSession() as session:
            async with session.get(URL(target, encoded=True)) as found:
                if found.status == 200:
                    return _refused(412, "At least one of the pre-conditions did not hold.")
            return await storing()

    async def _if_it_is(self, request: web.Request) -> web.Response:
        if wanted := request.query.get("ifGenerationMatch"):
            found = await self._on(request, "GET")
            if json.decode(found.text or "")["generation"] != wanted:
                return _refused(412, "At least one of the pre-conditions did not hold.")
        return await self._on(request)

    async def _token(self, request: web.Request) -> web.Response:
        self.renewals += 1
        form = await request.post()
        try:
            claims = jwt.decode(
                str(form["assertion"]),
                KEY.public_key(),
                algorithms=["RS256"],
                audience=f"{self.address}/token",
            )
        except jwt.InvalidTokenError:
            told = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return web.json_response(told, status=400)
        token = f"{claims['iss']}-{self.renewals}"
        self.valid.add(token)
        return web.json_response({"access_token": token, "expires_in": 3600})

    async def _chunk(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Content-Range", "")
        upload = request.query["upload_id"]
        if re.fullmatch(r"bytes \*/(\*|[1-9]\d*)", wanted):
            kept = self._kept.get(upload, "")
            return web.Response(status=308, headers={"Range": kept} if kept else {})
        trouble = self._trouble() if request.method == "PUT" else ""
        if trouble == "lost":
            await request.read()
            return _refused(503, "Service Unavailable")
        start = re.match(r"bytes (\d+)-", wanted)
        before = self._come.get(upload, b"")[: int(start[1]) if start else None]
        target = "" if wanted.endswith("/*") else self._new.get(upload, "")
        answer = await self._alone(target, lambda: self._stored(request, before, trouble))
        self._come[upload] = before + await request.read()
        self._kept[upload] = answer.headers.get("Range", "")
        return _refused(503, "Service Unavailable") if trouble == "unheard" else answer

    def _trouble(self) -> str:
        return self.trouble.pop(0) if self.trouble else ""

    async def _stored(self, request: web.Request, before: bytes, trouble: str) -> web.Response:
        """What has come `before` belongs to it."""
        body = await request.read()
        if "spoiled" in trouble:
            body = bytes([body[0] ^ 1]) + body[1:]
        wanted = request.headers.get("X-Goog-Hash", "").removeprefix("md5=")
        found = b64encode(md5(before + body, usedforsecurity=False).digest()).decode()
        if wanted and wanted != found and "unseen" not in trouble:
            told = f'Provided MD5 hash "{wanted}" doesn\'t match calculated MD5 hash "{found}".'
            return _refused(400, told)
        return await self._on(request, body=body)

    async def _on(
        self, request: web.Request, method: str = "", body: bytes | None = None
    ) -> web.Response:
        body = await request.read() if body is None else body
        headers = {name: one for name, one in request.headers.items() if name.lower() not in HOP}
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                method or request.method,
                URL(f"{self._behind}{request.raw_path}", encoded=True),
                headers=headers,
                data=BytesIO(body),
                allow_redirects=False,
            ) as answer,
        ):
            told: Mapping[str, str] = {
                name: one.replace(self._behind, self.address)
                for name, one in answer.headers.items()
                if name.lower() not in HOP
            }
            return web.Response(status=answer.status, headers=told, body=await answer.read())


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message}}, status=status)


@asynccontextmanager
async def doorkeeper(server: Server) -> AsyncGenerator[Doorkeeper]:
    found = Doorkeeper(server)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", found.handle)
    async with served(app) as found.address:
        yield found
