"""Swift with logins at Keystone, both the real ones."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from faulty import Exchange, FaultyLine, passed
from keystone_server import WORD, Cloud, keystone_of, ticket
from swift_server import forget_tokens, opened
from webapp import served

from funnel.core.error import Denied, FunnelError, Invalid
from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.storage.swift import account
from funnel.storage.swift.settings import SwiftSettings
from funnel.testing.build import new_id

pytestmark = pytest.mark.timeout(180)


async def check(settings: SwiftSettings, folder: Path) -> None:
    """That files go there and come back."""
    url = f"swift://tests/{new_id()}"
    async with opened(settings, max_retries=2) as storage:
        await storage.put(BytesIO(b"content"), url)
        await storage.get(url, folder / "to")
    assert (folder / "to").read_bytes() == b"content"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"user_domain_name": "Default", "project_domain_id": "default"},
        {"region_name": "two", "interface": "internalURL"},
        {"user_name": "ann", "tenant_name": "genomes", "user_domain_name": "lab"},
    ],
)
async def test_a_user_has_a_password_and_a_project(
    cloud: Cloud, tmp_path: Path, settings: dict[str, str]
) -> None:
    await check(cloud.login(**settings), tmp_path)


async def test_a_project_may_be_named_by_its_id(cloud: Cloud, tmp_path: Path) -> None:
    who = await ticket(cloud.keystone, "tester", "tests")
    await check(cloud.login(tenant_name="", tenant_id=who.project), tmp_path)


async def test_the_address_may_be_that_of_keystone_alone(cloud: Cloud, tmp_path: Path) -> None:
    await check(cloud.login(auth_url=f"http://{cloud.keystone.address}/"), tmp_path)


@pytest.mark.parametrize("by", ["id", "name"])
async def test_an_application_credential_takes_the_place_of_a_user(
    cloud: Cloud, tmp_path: Path, by: str
) -> None:
    name, who = new_id(), await ticket(cloud.keystone, "tester", "tests")
    async with keystone_of(cloud.keystone) as keystone:
        users = await keystone.do("GET", "/users?name=tester")
        path = f"/users/{users['users'][0]['id']}/application_credentials"
        told = {"application_credential": {"name": name}}
        made = await keystone.do("POST", path, told, X_Auth_Token=who.token)
    found = made["application_credential"]
    one = {"application_credential_secret": Secret(found["secret"]), "password": Secret()}
    if by == "id":
        one |= {"application_credential_id": found["id"], "user_name": ""}
    else:
        one |= {"application_credential_name": name}
    await check(cloud.login(tenant_name="", **one), tmp_path)


async def test_the_environment_of_openstack_is_read(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = {
        "OS_AUTH_URL": f"http://{cloud.keystone.address}/v3",
        "OS_USERNAME": "ann",
        "OS_PASSWORD": WORD,
        "OS_PROJECT_NAME": "genomes",
        "OS_USER_DOMAIN_NAME": "lab",
        "OS_PROJECT_DOMAIN_NAME": "lab",
        "OS_REGION_NAME": "one",
    }
    for name, text in around.items():
        monkeypatch.setenv(name, text)
    await check(SwiftSettings(), tmp_path)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"password": Secret("guessed")}, Denied, r"logging in at .* 401 .*Swift\.UserName"),
        ({"tenant_name": "genomes"}, Denied, r"logging in at .* 401"),
        ({"password": Secret()}, Denied, r"give Swift\.Password"),
        ({"region_name": ""}, Invalid, r"\['one', 'two'\]: name one in Swift\.RegionName"),
        ({"region_name": "three"}, Invalid, r"in the region three, but those in \['one', 'two'\]"),
        ({"interface": "admin"}, Invalid, "knows no admin address"),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    cloud: Cloud, settings: dict[str, Any], error: type[FunnelError], said: str
) -> None:
    async with opened(cloud.login(**settings)) as storage:
        with pytest.raises(error, match=rf"swift://tests/a: .*{said}") as caught:
            await storage.stat("swift://tests/a")
    assert "guessed" not in str(caught.value)


async def test_a_token_that_was_taken_back_is_renewed(cloud: Cloud) -> None:
    seen: list[str] = []

    async def look(exchange: Exchange) -> web.StreamResponse:
        seen.append(exchange.request.headers["X-Auth-Token"])
        return await passed(exchange)

    who = await ticket(cloud.keystone, "tester", "tests")
    async with FaultyLine(cloud.swift.address, lambda _number, _asked: look).running() as line:
        settings = cloud.login(storage_url=f"http://{line.address}/v1/AUTH_{who.project}")
        async with opened(settings) as storage, keystone_of(cloud.keystone) as keystone:
            await storage.list_objects("swift://tests/none")
            await keystone.do("DELETE", "/auth/tokens", X_Subject_Token=seen[0])
            # Swift asks about a token once in a while.
            await asyncio.to_thread(forget_tokens, cloud.swift)
            await storage.list_objects("swift://tests/none")
    assert len(set(seen)) == 2


class Second:
    """
    Logins of version 2, which Keystone has no more, as its interface of then was published.

    The tokens are those of the real one. `lasting` is how long they are said to do so.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.asked: list[Any] = []
        self.lasting = timedelta(hours=1)

    async def handle(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.asked.append(told)
        who = told["auth"]["passwordCredentials"]
        if who != {"username": "tester", "password": WORD}:
            error = {"code": 401, "message": "The request you have made requires authentication."}
            return web.json_response({"error": error}, status=401)
        found = await ticket(self.cloud.keystone, "tester", "tests")
        here = f"http://{self.cloud.swift.address}/v1/AUTH_{found.project}"
        place = {"region": "one", "publicURL": here, "adminURL": here, "internalURL": here}
        until = (now() + self.lasting).strftime("%Y-%m-%dT%H:%M:%SZ")
        access = {
            "token": {"id": found.token, "expires": until, "tenant": {"id": found.project}},
            "serviceCatalog": [{"type": "object-store", "name": "swift", "endpoints": [place]}],
            "user": {"username": "tester"},
        }
        return web.json_response({"access": access})


@asynccontextmanager
async def second(cloud: Cloud, **more: Any) -> AsyncGenerator[tuple[Second, SwiftSettings]]:
    found, app = Second(cloud), web.Application()
    app.router.add_post("/v2.0/tokens", found.handle)
    async with served(app) as address:
        yield found, cloud.login(auth_url=f"{address}/v2.0", **more)


@pytest.mark.parametrize(
    ("project", "sent"),
    [
        ({}, {"tenantName": "tests"}),
        ({"tenant_id": "some"}, {"tenantId": "some"}),
        ({"tenant_name": ""}, {}),
    ],
)
async def test_version_2_has_tenants(
    cloud: Cloud, tmp_path: Path, project: dict[str, str], sent: dict[str, str]
) -> None:
    async with second(cloud, **project) as (service, settings):
        await check(settings, tmp_path)
        who = {"username": "tester", "password": WORD}
        assert service.asked == [{"auth": {"passwordCredentials": who, **sent}}]


async def test_what_version_2_says_of_a_wrong_password_is_told(cloud: Cloud) -> None:
    wrong, said = Secret("guessed"), r"401 .*requires authentication.*Swift\.UserName"
    async with second(cloud, password=wrong) as (_, settings), opened(settings) as storage:
        with pytest.raises(Denied, match=said):
            await storage.stat("swift://tests/a")


async def test_a_token_is_renewed_before_it_expires(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "LEAST", 0)
    async with second(cloud) as (service, settings), opened(settings) as storage:
        for _ in range(3):
            await storage.list_objects("swift://tests/none")
        assert len(service.asked) == 1
    async with second(cloud) as (service, settings), opened(settings) as storage:
        service.lasting = timedelta(0)
        for _ in range(3):
            await storage.list_objects("swift://tests/none")
        assert len(service.asked) > 2
