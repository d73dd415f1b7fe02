"""Azurite as the tests have it."""

import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from aiohttp import web
from stores import Server, running
from webapp import served

from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Storage
from funnel.storage.azure.plugin import PLUGIN
from funnel.storage.azure.settings import AzureSettings

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Azurite's published one."""
VERSION: Final = "2022-11-02"
HOST: Final = Host(now=now, deployment="test")
KEPT_HERE: Final = frozenset({"Host", "Authorization"})
KEPT_THERE: Final = frozenset({"transfer-encoding", "connection", "keep-alive", "date"})
SECRETS: Final = frozenset({"key", "sas_token"})


def root(address: str) -> str:
    return f"http://{address}/{ACCOUNT}"


def blobs(address: str, **settings: Any) -> AbstractAsyncContextManager[Storage]:
    given: dict[str, Any] = {
        name: Secret(one) if name in SECRETS else one for name, one in settings.items()
    }
    found = AzureSettings(account=ACCOUNT, endpoint=root(address), **given)
    return PLUGIN.make(found, HOST)


def signature(may: str, lasting: timedelta = timedelta(hours=1)) -> str:
    """A shared access signature of the account for its blobs, by the letters of what it allows."""
    until = (now() + lasting).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{ACCOUNT}\n{may}\nb\nsco\n\n{until}\n\n\n{VERSION}\n\n"
    seal = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return urlencode(
        {
            "sv": VERSION,
            "ss": "b",
            "srt": "sco",
            "sp": may,
            "se": until,
            "sig": base64.b64encode(seal).decode(),
        }
    )


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("azure", tmp_path_factory.mktemp("azure")) as server:
        for container, more in (
            ("tests", {}),
            ("public", {"x-ms-blob-public-access": "container"}),
        ):
            httpx.put(
                f"{root(server.address)}/{container}?restype=container&{signature('rwdlc')}",
                headers={"x-ms-version": VERSION, **more},
            ).raise_for_status()
        yield server


class Doorkeeper:
    """
    Gives tokens in the ways that Azure does, and lets in who has one; Azurite is behind it.

    Who has none is nobody there. `renewals` are the ways of the tokens that were given; those in
    `valid` are taken.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.address = ""
        self.renewals: list[str] = []
        self.valid: set[str] = set()
        self.busy = False

    @property
    def root(self) -> str:
        return f"{self.address}/{ACCOUNT}"

    def give(self, way: str) -> str:
        self.renewals.append(way)
        token = f"{way}-{len(self.renewals)}"
        self.valid.add(token)
        return token

    async def of_entra(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = (request.match_info["tenant"], form["client_id"], form["scope"])
        assert asked == ("tenant", "client", "https://storage.azure.com/.default")
        if form.get("client_secret") == "swordfish":
            return self._of_client("secret")
        if form.get("client_assertion") == "from kubernetes":
            return self._of_client("workload")
        told = {"error": "invalid_client", "error_description": "AADSTS7000215: wrong secret"}
        return web.json_response(told, status=401)

    def _of_client(self, way: str) -> web.Response:
        told = {"token_type": "Bearer", "access_token": self.give(way), "expires_in": 3599}
        return web.json_response({**told, "ext_expires_in": 3599})

    async def of_service(self, request: web.Request) -> web.Response:
        if request.headers["X-IDENTITY-HEADER"] != "header":
            return web.json_response({"message": "no"}, status=401)
        return self._given(request, "service")

    async def of_machine(self, request: web.Request) -> web.Response:
        assert request.headers["Metadata"] == "true"
        if self.busy:
            return web.json_response({"error": "busy"}, status=429, headers={"Retry-After": "7"})
        return self._given(request, "machine")

    def _given(self, request: web.Request, way: str) -> web.Response:
        assert request.query["resource"] == "https://storage.azure.com"
        until = str(int(now().timestamp()) + 3600)
        told = {"token_type": "Bearer", "access_token": self.give(way), "expires_in": "3600"}
        return web.json_response({**told, "expires_on": until, "resource": "of the request"})

    async def of_blobs(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.valid:
            headers = {"x-ms-error-code": "InvalidAuthenticationInfo"}
            return web.Response(status=401, headers=headers)
        query = dict(request.query) | dict(parse_qsl(signature("rwlc") if token else ""))
        headers = {name: one for name, one in request.headers.items() if name not in KEPT_HERE}
        async with httpx.AsyncClient() as client:
            answer = await client.request(
                request.method,
                f"http://{self._server.address}{request.raw_path.partition('?')[0]}",
                params=query,
                headers=headers,
                content=await request.read(),
            )
        told = {name: one for name, one in answer.headers.items() if name not in KEPT_THERE}
        return web.Response(status=answer.status_code, headers=told, body=answer.content)


@pytest.fixture
async def door(azure: Server) -> AsyncGenerator[Doorkeeper]:
    found = Doorkeeper(azure)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", found.of_entra)
    app.router.add_get("/service", found.of_service)
    app.router.add_get("/metadata/identity/oauth2/token", found.of_machine)
    app.router.add_route("*", "/{path:.*}", found.of_blobs)
    async with served(app) as found.address:
        yield found
