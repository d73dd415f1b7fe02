"""Logins of people go on without a browser, as long as they may."""

import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from s3_identity import START, Around, Time
from webapp import served

from funnel.core.error import Denied, FunnelError, Unavailable
from funnel.storage.s3.credentials import Credentials

PROFILES = """
[profile person]
sso_session = work
sso_account_id = 1
sso_role_name = reader
[sso-session work]
sso_start_url = https://work.awsapps.example/start
sso_region = eu-north-1
"""
LOGIN = {
    "startUrl": "https://work.awsapps.example/start",
    "region": "eu-north-1",
    "accessToken": "secret-0",
    "expiresAt": "2030-01-01T01:00:00Z",
    "clientId": "client",
    "clientSecret": "secret-of-client",
    "registrationExpiresAt": "2030-03-01T00:00:00Z",
    "refreshToken": "secret-refresh-0",
}
LATE = START + timedelta(minutes=46)


class People:
    """Amazon's portal and its service of logins; `trouble` is what that does instead."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = ""
        self.renewed = 0
        self.came: list[str] = []
        self.trouble: Callable[[], web.Response] | None = None

    async def token(self, request: web.Request) -> web.Response:
        if self.trouble:
            return self.trouble()
        assert await request.json() == {
            "grantType": "refresh_token",
            "clientId": "client",
            "clientSecret": "secret-of-client",
            "refreshToken": f"secret-refresh-{self.renewed}",
        }
        self.renewed += 1
        answer = {"accessToken": f"secret-{self.renewed}", "expiresIn": 3600}
        return web.json_response({**answer, "refreshToken": f"secret-refresh-{self.renewed}"})

    async def portal(self, request: web.Request) -> web.Response:
        self.came.append(request.headers["x-amz-sso_bearer_token"])
        keys = {"accessKeyId": "key", "secretAccessKey": "secret", "sessionToken": "token"}
        return web.json_response({"roleCredentials": keys})

    def write(self, **more: Any) -> None:
        self.path.write_text(json.dumps(LOGIN | more))


@pytest.fixture
async def people(tmp_path: Path) -> AsyncGenerator[People]:
    folder = tmp_path / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True)
    (tmp_path / ".aws" / "config").write_text(PROFILES)
    found = People(folder / f"{sha1(b'work', usedforsecurity=False).hexdigest()}.json")
    found.write()
    app = web.Application()
    app.router.add_post("/token", found.token)
    app.router.add_get("/federation/credentials", found.portal)
    async with served(app) as found.url:
        yield found


@pytest.fixture
def person(around: Around, people: People) -> Callable[[], Credentials]:
    """As a process that has just started."""
    places = {"AWS_ENDPOINT_URL_SSO": people.url, "AWS_ENDPOINT_URL_SSO_OIDC": people.url}
    return lambda: around("person", **places)


async def test_a_login_is_renewed_before_it_ends(
    person: Callable[[], Credentials], people: People, time: Time
) -> None:
    people.path.chmod(0o644)
    await person().current()
    for number, minutes in enumerate((46, 92, 138), 1):
        time.now = START + timedelta(minutes=minutes)
        await person().current()
        kept = json.loads(people.path.read_bytes())
        assert kept["expiresAt"] == f"{time.now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        assert kept["refreshToken"] == f"secret-refresh-{number}"
        assert {name: kept[name] for name in ("startUrl", "clientSecret")} == {
            name: LOGIN[name] for name in ("startUrl", "clientSecret")
        }
    assert people.came == [f"secret-{number}" for number in range(4)]
    assert people.path.stat().st_mode & 0o777 == 0o600
    assert [*people.path.parent.iterdir()] == [people.path]


async def test_what_another_program_renewed_is_taken(
    person: Callable[[], Credentials], people: People, time: Time
) -> None:
    def first() -> web.Response:
        people.write(accessToken="secret-of-other", expiresAt="2030-01-01T03:00:00Z")
        return web.json_response({"error": "invalid_grant"}, status=400)

    people.trouble = first
    time.now = START + timedelta(hours=2)
    await person().current()
    assert people.came == ["secret-of-other"]


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [(400, Denied, "answers 400; run `aws sso login"), (503, Unavailable, "answers 503; run")],
)
async def test_a_login_that_is_not_renewed_serves_to_its_end(
    person: Callable[[], Credentials],
    people: People,
    time: Time,
    status: int,
    kind: type[FunnelError],
    text: str,
) -> None:
    people.trouble = lambda: web.json_response({"error_description": "secret-0"}, status=status)
    time.now = LATE
    await person().current()
    assert people.came == ["secret-0"]
    time.now = START + timedelta(hours=1)
    with pytest.raises(kind, match=text) as found:
        await person().current()
    assert "has expired and is not renewed" in str(found.value)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    "lacking",
    [{"registrationExpiresAt": "2030-01-01T00:00:00Z"}, {"refreshToken": ""}, {"clientId": ""}],
)
async def test_a_login_without_a_registration_ends(
    person: Callable[[], Credentials], people: People, time: Time, lacking: dict[str, str]
) -> None:
    people.write(**lacking)
    time.now = LATE
    await person().current()
    time.now = START + timedelta(hours=1)
    with pytest.raises(Denied, match="has expired: run `aws sso login --profile person`"):
        await person().current()
    assert people.renewed == 0


async def test_a_renewed_login_that_cannot_be_kept_is_used(
    person: Callable[[], Credentials],
    people: People,
    time: Time,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lost() -> web.Response:
        people.path.unlink()
        return web.json_response({"accessToken": "secret-9", "expiresIn": 60})

    people.trouble = lost
    time.now = LATE
    await person().current()
    assert people.came == ["secret-9"]
    assert "the renewed login of person cannot be kept" in caplog.text
    assert "secret" not in caplog.text


async def test_an_answer_that_is_none_is_not_repeated(
    person: Callable[[], Credentials], people: People, time: Time
) -> None:
    people.trouble = lambda: web.Response(text='{"accessToken": 7, "refreshToken": "secret-1"}')
    time.now = START + timedelta(hours=1)
    with pytest.raises(Unavailable, match="what came as a renewed login is none") as found:
        await person().current()
    assert "secret" not in str(found.value)
