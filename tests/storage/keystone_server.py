"""OpenStack's Keystone, and a Swift whose logins are there."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from stores import Server, running

from funnel.core.secret import Secret
from funnel.storage.swift.settings import SwiftSettings

WORD: Final = "testing"
"""By which all log in."""
PATIENCE: Final = 60.0
NOWHERE: Final = "http://127.0.0.1:9/v1/AUTH_%(tenant_id)s"


class Keystone:
    """As its administrator has it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def do(self, method: str, path: str, told: object = None, **headers: str) -> Any:
        more = {name.replace("_", "-"): text for name, text in headers.items()}
        answer = await self._client.request(method, path, json=told, headers=more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def made(self, kind: str, **told: object) -> str:
        """Its id."""
        found = await self.do("POST", f"/{kind}s", {kind: told})
        return str(found[kind]["id"])

    async def granted(self, project: str, user: str, role: str) -> None:
        found = await self.do("GET", f"/roles?name={role}")
        await self.do("PUT", f"/projects/{project}/users/{user}/roles/{found['roles'][0]['id']}")


@dataclass(frozen=True)
class Ticket:
    token: str
    project: str
    """Its id."""


@asynccontextmanager
async def keystone_of(server: Server) -> AsyncGenerator[Keystone]:
    async with httpx.AsyncClient(base_url=f"http://{server.address}/v3", timeout=PATIENCE) as web:
        web.headers["X-Auth-Token"] = (await ticket(server, "admin", "admin")).token
        yield Keystone(web)


async def ticket(server: Server, user: str, project: str, domain: str = "Default") -> Ticket:
    home = {"name": domain}
    who = {"name": user, "domain": home, "password": WORD}
    told = {
        "identity": {"methods": ["password"], "password": {"user": who}},
        "scope": {"project": {"name": project, "domain": home}},
    }
    async with httpx.AsyncClient(base_url=f"http://{server.address}/v3", timeout=PATIENCE) as web:
        answer = await web.post("/auth/tokens", json={"auth": told})
    assert answer.is_success, answer.text
    return Ticket(answer.headers["X-Subject-Token"], answer.json()["token"]["project"]["id"])


@dataclass(frozen=True)
class Cloud:
    keystone: Server
    swift: Server

    def login(self, **settings: Any) -> SwiftSettings:
        """Of tester, who is a member of the project tests, in the domain that is usual."""
        given: dict[str, Any] = {
            "auth_url": f"http://{self.keystone.address}/v3",
            "user_name": "tester",
            "password": Secret(WORD),
            "tenant_name": "tests",
            "region_name": "one",
        }
        return SwiftSettings(**(given | settings))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = tmp_path_factory.mktemp("cloud")
    (home / "data").mkdir()
    with running("keystone", tmp_path_factory.mktemp("keystone")) as keystone:
        (home / "data" / "identity").write_text(f"http://{keystone.address}")
        with running("swift", home) as swift:
            asyncio.run(_prepared(keystone, swift))
            yield Cloud(keystone, swift)


async def _prepared(server: Server, swift: Server) -> None:
    async with keystone_of(server) as keystone:
        lab = await keystone.made("domain", name="lab")
        await _user(keystone, "swift", "service", "default", "admin")
        await _user(keystone, "ann", "genomes", lab, "member")
        await _user(keystone, "tester", "tests", "default", "member")
        for region in ("one", "two"):
            await keystone.made("region", id=region)
        here = f"http://{swift.address}/v1/AUTH_%(tenant_id)s"
        await _service(keystone, "object-store", "one", public=here)
        await _service(keystone, "object-store", "two", public=NOWHERE, internal=here)
        await _service(keystone, "identity", "one", internal=f"http://{server.address}/v3")
    for user, project, domain in (("tester", "tests", "Default"), ("ann", "genomes", "lab")):
        who = await ticket(server, user, project, domain)
        async with httpx.AsyncClient(timeout=PATIENCE) as web:
            answer = await web.put(
                f"http://{swift.address}/v1/AUTH_{who.project}/tests",
                headers={"X-Auth-Token": who.token},
            )
            assert answer.is_success, answer.text


async def _service(keystone: Keystone, kind: str, region: str, **urls: str) -> None:
    service = await keystone.made("service", name=kind, type=kind)
    for interface, url in urls.items():
        await keystone.made(
            "endpoint", service_id=service, region_id=region, interface=interface, url=url
        )


async def _user(keystone: Keystone, user: str, project: str, domain: str, role: str) -> None:
    home = await keystone.made("project", name=project, domain_id=domain)
    who = await keystone.made("user", name=user, password=WORD, domain_id=domain)
    await keystone.granted(home, who, role)
