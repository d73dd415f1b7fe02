"""Logins at Swift and Keystone that go wrong: each is told of by the setting to look at."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import web
from msgspec.structs import replace
from swift_server import opened
from webapp import served

from funnel.core.error import Denied, FunnelError, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.net.client import Client
from funnel.net.clock import now
from funnel.storage.swift import identity
from funnel.storage.swift.account import AGAIN, NEARLY, Account
from funnel.storage.swift.settings import SwiftSettings

URL: Final = "swift://tests/a"
WORD: Final = "swordfish"
PATHS: Final = {1: "/auth/v1.0", 2: "/v2.0", 3: "/v3"}
LOGINS: Final = {"/auth/v1.0", "/v2.0/tokens", "/v3/auth/tokens"}

Answer: TypeAlias = Callable[["Cloud", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Clock:
    seconds: float = 0.0


class Cloud:
    """Logs in as it is told, one answer for each login, the last one again; has one object."""

    def __init__(self) -> None:
        self.address = ""
        self.answers: list[Answer] = [good]
        self.logins = 0
        self.asked: list[str] = []
        """All else that is asked."""

    async def hear(self, request: web.Request) -> web.StreamResponse:
        if request.path in LOGINS:
            self.logins += 1
            return await self.answers[min(self.logins, len(self.answers)) - 1](self, request)
        self.asked.append(request.path)
        if request.headers.get("X-Auth-Token") != f"token-{self.logins}":
            return web.Response(status=401)
        return web.Response(headers={"Content-Length": "7", "ETag": "x"})

    def token(self, **more: Any) -> web.Response:
        """Of a login that went well, with `more` in what Keystone says of it."""
        told: dict[str, Any] = {"token": {"catalog": [self.service()], **more}}
        return web.json_response(told, headers={"X-Subject-Token": f"token-{self.logins}"})

    def service(self, kind: str = "object-store", **more: Any) -> dict[str, Any]:
        place = {"interface": "public", "region": "one", "url": f"{self.address}/v1/AUTH_t"}
        return {"type": kind, "endpoints": [place | more]}


async def good(cloud: Cloud, request: web.Request) -> web.Response:
    if request.path == PATHS[1]:
        root, token = f"{cloud.address}/v1/AUTH_t", f"token-{cloud.logins}"
        return web.Response(headers={"X-Storage-Url": root, "X-Auth-Token": token})
    if request.path.startswith(PATHS[3]):
        return cloud.token()
    place = {"region": "one", "publicURL": f"{cloud.address}/v1/AUTH_t"}
    catalog = [{"type": "object-store", "endpoints": [place]}]
    token = {"id": f"token-{cloud.logins}"}
    return web.json_response({"access": {"token": token, "serviceCatalog": catalog}})


def answered(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(_: Cloud, __: web.Request) -> web.Response:
        told = {name.replace("_", "-"): one for name, one in headers.items()}
        return web.Response(status=status, text=text, headers=told)

    return answer


async def echoing(_: Cloud, request: web.Request) -> web.Response:
    """What it was told, in its reason."""
    told = f"{request.headers.get('X-Auth-Key', '')} {await request.text()}"
    return web.json_response({"error": {"message": told}}, status=400)


async def torn(_: Cloud, request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def silent(_: Cloud, __: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def endless(_: Cloud, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 16))


async def elsewhere(cloud: Cloud, _: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": f"{cloud.address}/thief"})


def of_keystone(**more: Any) -> Answer:
    async def answer(cloud: Cloud, _: web.Request) -> web.Response:
        return cloud.token(**more)

    return answer


def in_catalog(**more: Any) -> Answer:
    async def answer(cloud: Cloud, _: web.Request) -> web.Response:
        return cloud.token(catalog=[cloud.service(**more)])

    return answer


@pytest.fixture
async def cloud() -> AsyncGenerator[Cloud]:
    found, app = Cloud(), web.Application()
    app.router.add_route("*", "/{path:.*}", found.hear)
    async with served(app, handler_cancellation=True, shutdown_timeout=0.1) as found.address:
        yield found


@pytest.fixture(params=PATHS)
def login(cloud: Cloud, request: pytest.FixtureRequest) -> SwiftSettings:
    return by_version(cloud, request.param)


def by_version(cloud: Cloud, version: int, region: str = "") -> SwiftSettings:
    return SwiftSettings(
        auth_url=f"{cloud.address}{PATHS[version]}",
        user_name="tester",
        password=Secret(WORD),
        tenant_name="tests",
        region_name=region,
        max_retries=0,
    )


async def refused(settings: SwiftSettings, kind: type[FunnelError], said: str) -> None:
    async with opened(settings) as storage:
        with pytest.raises(kind, match=rf"^{URL}: .*{said}") as caught:
            await storage.stat(URL)
    assert type(caught.value) is kind
    assert WORD not in str(caught.value)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(answered(500), id="500"),
        pytest.param(answered(503, Retry_After="1"), id="503"),
        pytest.param(answered(429), id="429"),
        pytest.param(answered(200, "<html>Maintenance</html>"), id="a page"),
        pytest.param(torn, id="torn"),
    ],
)
async def test_what_passes_is_tried_again(
    cloud: Cloud, login: SwiftSettings, first: Answer
) -> None:
    cloud.answers = [first, good]
    async with opened(replace(login, max_retries=5)) as storage:
        assert (await storage.stat(URL)).size_bytes == 7
    assert cloud.logins == 2


AWAY: Final = r"logging in at http://127\.0\.0\.1.*"
NO_ANSWER: Final = AWAY + r"no answer of Swift or Keystone; check Swift\.AuthURL"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        pytest.param(answered(500), Unavailable, AWAY + "500", id="500"),
        pytest.param(answered(401), Denied, AWAY + r"401 .*Swift\.UserName", id="401"),
        pytest.param(answered(403), Denied, AWAY + r"403 .*Swift\.UserName", id="403"),
        pytest.param(answered(300), Invalid, AWAY + r"300 .*Swift\.AuthURL", id="300"),
        pytest.param(answered(404), Invalid, AWAY + r"404 .*Swift\.AuthURL", id="404"),
        pytest.param(answered(410), Invalid, AWAY + r"410 .*Swift\.AuthURL", id="410"),
        pytest.param(answered(412), Invalid, AWAY + r"412 .*Swift\.AuthURL", id="412"),
        pytest.param(answered(416), Invalid, AWAY + r"416 .*Swift\.AuthURL", id="416"),
        pytest.param(elsewhere, Invalid, AWAY + r"307 .*Swift\.AuthURL", id="elsewhere"),
        pytest.param(echoing, Invalid, AWAY + r"400 .*\*\*\*.*Swift\.AuthURL", id="echo"),
        pytest.param(torn, Unavailable, AWAY + "failed", id="torn"),
        pytest.param(answered(200), Unavailable, NO_ANSWER, id="nothing"),
        pytest.param(answered(200, "{"), Unavailable, NO_ANSWER, id="half"),
        pytest.param(answered(200, "[]"), Unavailable, NO_ANSWER, id="a list"),
        pytest.param(answered(200, '{"token": null}'), Unavailable, NO_ANSWER, id="null"),
    ],
)
async def test_what_is_wrong_is_told_with_the_setting(
    cloud: Cloud, login: SwiftSettings, answer: Answer, kind: type[FunnelError], said: str
) -> None:
    cloud.answers = [answer]
    await refused(login, kind, said)
    assert cloud.logins == 1
    assert cloud.asked == []


async def test_silence_at_the_login_is_given_up(
    cloud: Cloud, login: SwiftSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "TIMEOUT", 0.2)
    cloud.answers = [silent]
    await refused(login, Unavailable, AWAY)


async def test_an_answer_without_an_end_is_none(cloud: Cloud, login: SwiftSettings) -> None:
    cloud.answers = [endless]
    await refused(login, Unavailable, NO_ANSWER)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        pytest.param(of_keystone(catalog=[]), Invalid, r"Swift\.TenantName", id="no catalog"),
        pytest.param(in_catalog(kind="image"), Invalid, r"Swift\.TenantName", id="no store"),
        pytest.param(
            in_catalog(region="two"), Invalid, r"but those in \['two'\].*RegionName", id="region"
        ),
        pytest.param(in_catalog(interface="admin"), Invalid, r"Swift\.Interface", id="interface"),
        pytest.param(in_catalog(url=""), Invalid, r"Swift\.TenantName", id="no URL"),
        pytest.param(in_catalog(url="//host/v1"), Unavailable, NO_ANSWER, id="no scheme"),
        pytest.param(in_catalog(url="ftp://host/v1"), Unavailable, NO_ANSWER, id="scheme"),
        pytest.param(in_catalog(url="http://h:port/v1"), Unavailable, NO_ANSWER, id="port"),
        pytest.param(in_catalog(url="http://[::1/v1"), Unavailable, NO_ANSWER, id="bracket"),
        pytest.param(in_catalog(url=["http://h"]), Unavailable, NO_ANSWER, id="a list"),
        pytest.param(of_keystone(expires_at="soon"), Unavailable, NO_ANSWER, id="no time"),
        pytest.param(of_keystone(catalog={"a": 1}), Unavailable, NO_ANSWER, id="no list"),
    ],
)
async def test_where_the_store_is_keystone_must_say(
    cloud: Cloud, answer: Answer, kind: type[FunnelError], said: str
) -> None:
    cloud.answers = [answer]
    await refused(by_version(cloud, 3, region="one"), kind, said)
    assert cloud.asked == []


async def test_a_host_that_nobody_knows_is_no_missing_object(login: SwiftSettings) -> None:
    address = login.auth_url.partition("://")[2].partition("/")[0]
    lost = replace(login, auth_url=login.auth_url.replace(address, "keystone.invalid"))
    await refused(lost, Invalid, r"logging in at http://keystone\.invalid.*Swift\.AuthURL")


async def test_a_token_that_is_refused_once_is_renewed(cloud: Cloud, login: SwiftSettings) -> None:
    async with opened(login) as storage:
        await storage.stat(URL)
        # Another one than that with which it came.
        cloud.logins += 1
        assert (await storage.stat(URL)).size_bytes == 7
    assert cloud.logins == 3


async def test_a_token_that_says_to_have_expired_serves_for_a_while(cloud: Cloud) -> None:
    past = "2001-01-01T00:00:00.000000Z"
    cloud.answers = [of_keystone(expires_at=past)]
    async with opened(by_version(cloud, 3)) as storage:
        for _ in range(3):
            await storage.stat(URL)
    assert cloud.logins == 1


def lasting(hours: int) -> Answer:
    return of_keystone(expires_at=(now() + timedelta(hours=hours)).isoformat())


@pytest.fixture
async def held(cloud: Cloud) -> AsyncGenerator[tuple[Clock, Account]]:
    """A token that lasts for an hour, and no new one then."""
    cloud.answers = [lasting(1), answered(401), answered(403), answered(500), answered(404), good]
    async with Client() as client:
        clock = Clock()
        account = Account(client, by_version(cloud, 3), None, lambda: clock.seconds)
        await account.current(URL)
        yield clock, account


async def test_a_token_serves_as_long_as_it_lasts_though_no_new_one_comes(
    cloud: Cloud, held: tuple[Clock, Account], caplog: pytest.LogCaptureFixture
) -> None:
    clock, account = held
    clock.seconds = 3590.0 - NEARLY + AGAIN
    for logins in range(2, 6):
        for _ in range(3):
            assert (await account.current(URL)).token.reveal() == "token-1"
        assert cloud.logins == logins, "it is not asked for again at once"
        clock.seconds += AGAIN
    assert len(caplog.records) == 4
    assert WORD not in caplog.text
    assert (await account.current(URL)).token.reveal() == "token-6"


async def test_a_token_that_has_ended_does_not_serve(held: tuple[Clock, Account]) -> None:
    clock, account = held
    clock.seconds = 3601.0
    with pytest.raises(Denied, match=AWAY + "401"):
        await account.current(URL)


async def test_a_token_that_was_refused_does_not_serve(held: tuple[Clock, Account]) -> None:
    _, account = held
    account.forget(await account.current(URL))
    with pytest.raises(Denied, match=AWAY + "401"):
        await account.current(URL)
