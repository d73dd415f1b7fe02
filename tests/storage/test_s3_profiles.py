"""Profiles of ~/.aws that take on a role, run a program, or have logged in by a browser."""

import json
import logging
import sys
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path

import pytest
from aiohttp import web
from s3_identity import START, Around, Time
from webapp import served

from funnel.core.error import Denied, FunnelError, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.storage.s3 import profiles
from funnel.storage.s3.sign import Keys, Request, signed

UNTIL = START + timedelta(hours=1)
SECRETS: Mapping[str, str] = {"base-key": "base-secret", "first-key": "first-secret"}
PROFILES = """
[profile base]
aws_access_key_id = base-key
aws_secret_access_key = base-secret
[profile first]
role_arn = arn:aws:iam::1:role/first
source_profile = base
region = eu-west-1
[profile second]
role_arn = arn:aws:iam::2:role/second
source_profile = first
external_id = the=id&more
role_session_name = ours
duration_seconds = 900
[profile self]
role_arn = arn:aws:iam::1:role/first
source_profile = self
aws_access_key_id = base-key
aws_secret_access_key = base-secret
[profile environment]
role_arn = arn:aws:iam::1:role/first
credential_source = Environment
[profile stranger]
role_arn = arn:aws:iam::1:role/first
source_profile = guesser
[profile guesser]
aws_access_key_id = base-key
aws_secret_access_key = guessed
[profile round]
role_arn = r
source_profile = about
[profile about]
role_arn = r
source_profile = round
[profile alone]
role_arn = r
[profile both]
role_arn = r
source_profile = base
credential_source = Environment
[profile odd]
role_arn = r
credential_source = Moon
[profile code]
role_arn = r
source_profile = base
mfa_serial = arn:aws:iam::1:mfa/me
[profile web]
role_arn = arn:web
web_identity_token_file = /dev/null
[sso-session work]
sso_start_url = https://work.awsapps.example/start
sso_region = eu-north-1
[profile person]
sso_session = work
sso_account_id = 1
sso_role_name = reader
[profile old]
sso_start_url = https://old.awsapps.example/start
sso_region = eu-north-1
sso_account_id = 1
sso_role_name = reader
[profile part]
sso_session = none
sso_account_id = 1
"""
LOGGED_IN = "a-token"
GIVEN = """<R><Credentials><AccessKeyId>{0}-key</AccessKeyId>
<SecretAccessKey>{0}-secret</SecretAccessKey><SessionToken>{0}-token</SessionToken>
<Expiration>2030-01-01T01:00:00Z</Expiration></Credentials></R>"""


def given(name: str, until: datetime | None = UNTIL) -> Keys:
    return Keys(f"{name}-key", Secret(f"{name}-secret"), Secret(f"{name}-token"), until)


class Amazon:
    """Tokens for who signs rightly, and a portal for who has logged in."""

    def __init__(self) -> None:
        self.url = ""
        self.forms: list[Mapping[str, str]] = []
        self.regions: list[str] = []

    async def roles(self, request: web.Request) -> web.Response:
        body = await request.read()
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if form["Action"] == "AssumeRoleWithWebIdentity":
            return web.Response(text=GIVEN.format("web"))
        if not self._is_signed(request, body):
            text = "<E><Code>SignatureDoesNotMatch</Code><Message>It is wrong</Message></E>"
            return web.Response(status=403, text=text)
        return web.Response(text=GIVEN.format(form["RoleArn"].rpartition("/")[2]))

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        """Does the same as who sends, with the secret of the key that is named."""
        found = request.headers["Authorization"]
        key, day, region, service, _ = found.partition("Credential=")[2].split(",")[0].split("/")
        self.regions.append(region)
        now = datetime.fromisoformat(request.headers["X-Amz-Date"])
        token = request.headers.get("X-Amz-Security-Token", "")
        wanted = signed(
            Request(
                method="POST",
                host=request.host,
                path=request.path,
                query={},
                headers={},
                body=sha256(body).hexdigest(),
            ),
            Keys(key, Secret(SECRETS[key]), Secret(token)),
            region,
            now,
            service="sts",
        )
        is_meant = (day, service) == (f"{now:%Y%m%d}", "sts")
        return is_meant and found == wanted["authorization"]

    async def portal(self, request: web.Request) -> web.Response:
        if request.headers["x-amz-sso_bearer_token"] != LOGGED_IN:
            return web.Response(status=401, text='{"message": "Session token not found"}')
        assert dict(request.query) == {"account_id": "1", "role_name": "reader"}
        keys = {
            "accessKeyId": "person-key",
            "secretAccessKey": "person-secret",
            "sessionToken": "person-token",
            "expiration": int(UNTIL.timestamp() * 1000),
        }
        return web.json_response({"roleCredentials": keys})


@pytest.fixture
async def amazon() -> AsyncGenerator[Amazon]:
    found = Amazon()
    app = web.Application()
    app.router.add_post("/", found.roles)
    app.router.add_get("/federation/credentials", found.portal)
    async with served(app) as found.url:
        yield found


@pytest.fixture
def variables(amazon: Amazon, tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(PROFILES)
    return {
        "AWS_ENDPOINT_URL_STS": amazon.url,
        "AWS_ENDPOINT_URL_SSO": amazon.url,
        "AWS_ACCESS_KEY_ID": "base-key",
        "AWS_SECRET_ACCESS_KEY": "base-secret",
        "AWS_REGION": "us-west-2",
    }


def log_in(
    home: Path, what: str, who: str = LOGGED_IN, until: str = "2030-01-01T00:30:00Z"
) -> None:
    """As `aws sso login` does."""
    folder = home / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    name = sha1(what.encode(), usedforsecurity=False).hexdigest()
    told = {"accessToken": who, "expiresAt": until, "startUrl": "x", "region": "y"}
    (folder / f"{name}.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("profile", "keys", "region"),
    [
        ("first", "first", ["eu-west-1"]),
        ("second", "second", ["eu-west-1", "us-west-2"]),
        ("self", "first", ["us-west-2"]),
        ("environment", "first", ["us-west-2"]),
        ("web", "web", []),
    ],
)
async def test_a_profile_takes_on_a_role(
    around: Around,
    amazon: Amazon,
    variables: Mapping[str, str],
    profile: str,
    keys: str,
    region: list[str],
) -> None:
    found = around(profile, **variables)
    assert await found.current() == await found.current() == given(keys)
    assert amazon.regions == region


async def test_what_the_profile_says_of_the_role_is_sent(
    around: Around, amazon: Amazon, variables: Mapping[str, str]
) -> None:
    assert await around("second", **variables).current() == given("second")
    assert amazon.forms[0]["RoleSessionName"] == "funnel"
    assert amazon.forms[1] == {
        "Version": "2011-06-15",
        "Action": "AssumeRole",
        "RoleArn": "arn:aws:iam::2:role/second",
        "RoleSessionName": "ours",
        "DurationSeconds": "900",
        "ExternalId": "the=id&more",
    }


@pytest.mark.parametrize(
    ("profile", "kind", "text"),
    [
        ("stranger", Denied, "answers 403 SignatureDoesNotMatch: It is wrong"),
        ("round", Invalid, "takes on a role as round, which has no keys"),
        ("alone", Invalid, "'alone' has a role_arn: give it source_profile or credential_source"),
        ("both", Invalid, "one of the two"),
        ("odd", Invalid, "credential_source is one of Environment, EcsContainer"),
        ("code", Invalid, "asks for a code"),
        ("person", Denied, "nobody is logged in.*aws sso login --profile person"),
        ("part", Invalid, "lacks some of sso_start_url"),
    ],
)
async def test_what_a_profile_lacks_is_said(
    around: Around,
    variables: Mapping[str, str],
    profile: str,
    kind: type[FunnelError],
    text: str,
) -> None:
    with pytest.raises(kind, match=text) as found:
        await around(profile, **variables).current()
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("profile", "what"), [("person", "work"), ("old", "https://old.awsapps.example/start")]
)
async def test_who_has_logged_in_gets_the_credentials_of_the_role(
    around: Around, variables: Mapping[str, str], tmp_path: Path, profile: str, what: str
) -> None:
    log_in(tmp_path, what)
    assert await around(profile, **variables).current() == given("person")
    log_in(tmp_path, what, "somebody")
    with pytest.raises(Denied, match=f"answers 401; run `aws sso login --profile {profile}`"):
        await around(profile, **variables).current()
    log_in(tmp_path, what, until="2029-12-31T23:00:00UTC")
    with pytest.raises(Denied, match="has expired: run `aws sso login"):
        await around(profile, **variables).current()


def program(home: Path, code: str) -> None:
    (home / "program.py").write_text(code)
    command = f'{sys.executable} "{home}/program.py" "two words" $HOME'
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(f"[default]\ncredential_process = {command}\n")


PRINTS = """
import json, sys
assert sys.argv[1:] == ["two words", "$HOME"]
keys = {"Version": 1, "AccessKeyId": "own-key", "SecretAccessKey": "own-secret",
        "SessionToken": "own-token", "Expiration": "2030-01-01T01:00:00Z"}
"""


async def test_a_program_says_who_comes(around: Around, tmp_path: Path, time: Time) -> None:
    program(tmp_path, f"{PRINTS}\nprint(json.dumps(keys))")
    assert await around().current() == given("own")
    program(tmp_path, f"{PRINTS}\ndel keys['Expiration']\nprint(json.dumps(keys))")
    assert await around().current() == given("own", time() + profiles.FILES_LAST)


async def test_what_a_program_prints_is_shown_nowhere(
    around: Around, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tell = "print('own-secret')\nprint('own-secret', file=sys.stderr)\n"
    for code, kind, text in (
        (f"{PRINTS}{tell}sys.exit(3)", Denied, "failed; run it by hand"),
        (f"{PRINTS}{tell}", Unavailable, "what came as credentials of .* is none"),
    ):
        program(tmp_path, code)
        with pytest.raises(kind, match=text) as found:
            await around().current()
        assert "own-secret" not in f"{found.value}{found.value.__cause__}{caplog.text}"
    (tmp_path / ".aws" / "config").write_text("[default]\ncredential_process = /none own-secret\n")
    with pytest.raises(Invalid, match="'default' cannot be run: FileNotFoundError") as failed:
        await around().current()
    assert "own-secret" not in str(failed.value)


async def test_a_program_that_does_not_end_is_killed(
    around: Around, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "PATIENCE", 0.5)
    program(tmp_path, "import time\ntime.sleep(600)")
    with pytest.raises(Unavailable, match=r"has not ended within 0\.5 s"):
        await around().current()


async def test_keys_that_hold_serve_on_where_no_new_ones_come(
    around: Around, tmp_path: Path, time: Time
) -> None:
    program(tmp_path, f"{PRINTS}\nprint(json.dumps(keys))")
    found = around()
    assert await found.current() == given("own")
    program(tmp_path, "raise SystemExit(1)")
    time.now = UNTIL - timedelta(minutes=1)
    assert await found.current() == given("own")
    time.now = UNTIL
    with pytest.raises(Denied, match="run it by hand"):
        await found.current()
    (tmp_path / ".aws" / "config").unlink()
    with pytest.raises(Unavailable, match="no credentials are offered"):
        await found.current()


def test_the_signature_is_that_of_botocore() -> None:
    body = b"Version=2011-06-15&Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ffirst"
    request = Request(
        method="POST",
        host="sts.eu-west-1.amazonaws.com",
        path="/",
        query={},
        headers={},
        body=sha256(body).hexdigest(),
    )
    keys = Keys("base-key", Secret("base-secret"), Secret("a-token"))
    found = signed(request, keys, "eu-west-1", START, service="sts")["authorization"]
    wanted = "a17de2f2fcd18c1ee6d7c45a9f86507b8f839179f231739cf791830dbaad925f"
    assert found.endswith(f"Signature={wanted}")
