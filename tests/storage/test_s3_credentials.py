"""Who comes to S3 is found where Amazon's own programs look; and a bucket's region, once."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from s3_identity import START, Around, Time
from webapp import served

from funnel.core.error import Denied, Invalid, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.net.client import Client
from funnel.storage.s3.credentials import Credentials, written
from funnel.storage.s3.doors import AmazonDoors
from funnel.storage.s3.settings import AmazonSettings, AWSConfig
from funnel.storage.s3.sign import Keys
from funnel.storage.s3.surroundings import ROLE

UNTIL = START + timedelta(hours=1)
OFFERED = {
    "AccessKeyId": "role-key",
    "SecretAccessKey": "role-secret",
    "Token": "role-token",
    "Expiration": "2030-01-01T01:00:00Z",
}
ROLE_KEYS = Keys("role-key", Secret("role-secret"), Secret("role-token"), UNTIL)


class Offering:
    """A service that gives credentials, as Amazon's do, and says where buckets are."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        if self.status != 200:
            return web.Response(status=self.status)
        if request.path == f"{ROLE}my-role":
            assert request.headers["X-aws-ec2-metadata-token"] == "session"
        if request.path == "/container":
            assert request.headers["Authorization"] == "let-me-in"
        if request.method == "POST":
            form = await request.post()
            assert (form["RoleArn"], form["WebIdentityToken"]) == ("arn:role", "jwt")
        if request.path == "/far":
            return web.Response(status=403, headers={"x-amz-bucket-region": "eu-west-3"})
        text = ANSWERS.get(f"{request.method} {request.path}")
        return web.Response(text=text) if text else web.Response(status=404)


ASSUMED = """<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>role-key</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2030-01-01T01:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
ANSWERS = {
    "PUT /latest/api/token": "session",
    f"GET {ROLE}": "my-role",
    f"GET {ROLE}my-role": json.dumps(OFFERED),
    "GET /container": json.dumps(OFFERED),
    "POST /": ASSUMED,
}


@pytest.fixture
async def offering() -> AsyncGenerator[Offering]:
    found = Offering()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", found.answer)
    async with served(app) as found.url:
        yield found


async def test_where_nothing_is_found_nobody_comes(around: Around) -> None:
    assert await around().current() is None


async def test_variables_are_before_all_else(around: Around, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(PROFILES)
    variables = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    found = around(**variables)
    assert await found.current() == Keys("k", Secret("s"), Secret("t"))


PROFILES = """[default]
aws_access_key_id = default-key
aws_secret_access_key = default%secret

[other]
aws_access_key_id=other-key
aws_secret_access_key=other-secret
aws_session_token=other-token
"""


async def test_profiles_are_read(around: Around, tmp_path: Path, time: Time) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(PROFILES)
    keys = PROFILES.split("[other]")[1]
    (tmp_path / ".aws" / "config").write_text(f"[profile third]{keys}")
    until = time() + timedelta(minutes=10)
    default = Keys("default-key", Secret("default%secret"), Secret(""), until)
    other = Keys("other-key", Secret("other-secret"), Secret("other-token"), until)
    assert await around().current() == default
    assert await around(AWS_PROFILE="other").current() == other
    assert await around("other").current() == other
    assert await around("third").current() == other
    with pytest.raises(Invalid, match="no keys of the profile 'none'"):
        await around("none").current()
    (tmp_path / ".aws" / "credentials").write_text("no profile")
    with pytest.raises(Invalid, match="not a file of AWS profiles"):
        await around().current()


async def test_a_machine_gives_the_credentials_of_its_role(
    around: Around, offering: Offering, time: Time
) -> None:
    found = around(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=offering.url)
    assert await found.current() == await found.current() == ROLE_KEYS
    assert len(offering.asked) == 3
    time.now = UNTIL - timedelta(minutes=1)
    assert await found.current() == ROLE_KEYS
    assert len(offering.asked) == 6


async def test_what_is_no_machine_of_amazons_is_nobody(around: Around, offering: Offering) -> None:
    offering.status = 404
    variables = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": offering.url}
    assert await around(**variables).current() is None


async def test_a_container_gives_the_credentials_of_its_task(
    around: Around, offering: Offering, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("let-me-in\n")
    url = f"{offering.url}/container"
    file = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token")}
    text = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "let-me-in"}
    for how in (file, text):
        found = around(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, **how)
        assert await found.current() == ROLE_KEYS
    with pytest.raises(Invalid, match="neither https nor on this machine"):
        await around(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://evil.example/x").current()
    offering.status = 503
    with pytest.raises(Unavailable, match="answers 503"):
        await around(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, **text).current()
    offering.status = 403
    with pytest.raises(Denied, match="answers 403"):
        await around(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, **text).current()


async def test_a_token_in_a_file_is_taken_for_a_role(
    around: Around, offering: Offering, tmp_path: Path
) -> None:
    (tmp_path / "jwt").write_text("jwt\n")
    found = around(
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "jwt"),
        AWS_ROLE_ARN="arn:role",
        AWS_ENDPOINT_URL_STS=offering.url,
    )
    assert await found.current() == ROLE_KEYS


async def test_what_is_refused_is_asked_for_anew_once(time: Time) -> None:
    asked = list[Keys]()

    async def source() -> Keys:
        asked.append(Keys(f"k{len(asked)}", Secret("s")))
        return asked[-1]

    found = Credentials((source,), time)
    first = await found.current()
    found.forget(first)
    assert await found.current() is asked[1]
    found.forget(first)
    assert await found.current() is asked[1]


async def test_who_waits_for_what_fails_does_not_ask_again(time: Time) -> None:
    asked = list[int]()

    async def source() -> Keys:
        asked.append(1)
        # All others come meanwhile.
        await asyncio.sleep(0)
        raise Unavailable("away")

    found = Credentials((source,), time)
    answers = await asyncio.gather(*(found.current() for _ in range(10)), return_exceptions=True)
    assert [str(one) for one in answers] == ["away"] * 10
    assert len(asked) == 1
    with pytest.raises(Unavailable):
        await found.current()
    assert len(asked) == 2


async def test_a_key_needs_its_secret(time: Time) -> None:
    found = Credentials((written("k", Secret(""), "", "AmazonS3.AWSConfig"),), time)
    with pytest.raises(Invalid, match=r"AmazonS3\.AWSConfig\.Secret is missing"):
        await found.current()


async def test_the_region_of_a_bucket_is_found_once(
    offering: Offering, session: Client, time: Time
) -> None:
    settings = AmazonSettings(
        aws_config=AWSConfig(key="k", secret=Secret("s"), region="eu-north-1")
    )
    doors = AmazonDoors(settings, session, time, offering.url)
    found = {
        url: (await doors.bucket(url))[0].terms
        for url in (
            "s3://far/a",
            "s3://far/b",
            "s3://unknown/a",
            "s3://s3.eu-west-1.amazonaws.com/named/a",
            "s3://with.dot/a",
        )
    }
    assert [(one.url, one.region) for one in found.values()] == [
        ("https://far.s3.eu-west-3.amazonaws.com", "eu-west-3"),
        ("https://far.s3.eu-west-3.amazonaws.com", "eu-west-3"),
        ("https://unknown.s3.eu-north-1.amazonaws.com", "eu-north-1"),
        ("https://named.s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.eu-north-1.amazonaws.com/with.dot", "eu-north-1"),
    ]
    assert offering.asked == ["HEAD /far", "HEAD /unknown", "HEAD /with.dot"]


@pytest.mark.parametrize(
    ("endpoint", "style", "url"),
    [
        ("minio:9000", "host", "http://minio:9000/data"),
        ("https://minio", "host", "https://minio/data"),
        ("s3.eu-west-1.amazonaws.com", "host", "https://data.s3.eu-west-1.amazonaws.com"),
        ("s3.eu-west-1.amazonaws.com", "path", "https://s3.eu-west-1.amazonaws.com/data"),
    ],
)
async def test_a_bucket_is_in_the_path_or_in_the_host(
    session: Client, time: Time, endpoint: str, style: str, url: str
) -> None:
    settings = AmazonSettings(
        aws_config=AWSConfig(endpoint=endpoint), path_style=style == "path", requester_pays=True
    )
    bucket, _ = await AmazonDoors(settings, session, time).bucket("s3://data/a")
    assert bucket.terms.url == url
    assert bucket.terms.common == {"x-amz-request-payer": "requester"}


async def test_a_region_that_is_not_found_is_not_remembered(
    offering: Offering, session: Client, time: Time
) -> None:
    doors = AmazonDoors(AmazonSettings(), session, time, offering.url)
    with pytest.raises(NotFound, match="s3://unknown/a: looking for the region of its bucket"):
        await doors.bucket("s3://unknown/a")
    offering.status = 503
    with pytest.raises(Unavailable, match="was answered 503"):
        await doors.bucket("s3://far/a")
    offering.status = 200
    assert (await doors.bucket("s3://far/a"))[0].terms.region == "eu-west-3"
