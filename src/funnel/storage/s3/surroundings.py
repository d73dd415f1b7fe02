"""Credentials of the environment of this process, as Amazon's own programs look for them."""

import asyncio
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.net.client import Client, place_of
from funnel.ports import Clock
from funnel.storage.s3.answers import element
from funnel.storage.s3.credentials import Source
from funnel.storage.s3.sign import Keys

MACHINE: Final = "http://169.254.169.254"
CONTAINER: Final = "http://169.254.170.2"
PATIENCE: Final = 10.0
"""Seconds for an answer."""
PRESENCE: Final = 1.0
"""Seconds for a machine of Amazon's to say that it is one."""
FILES_LAST: Final = timedelta(minutes=5)
"""Until files are read again; other programs may change them."""
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
NONE: Final = dict[str, str]()
ROLE: Final = "/latest/meta-data/iam/security-credentials/"


class Offered(Value, kw_only=True, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str = ""
    expiration: datetime | None = None


class Surroundings:
    """`environ` are the variables of this process."""

    def __init__(self, environ: Mapping[str, str], client: Client, now: Clock) -> None:
        self._environ = environ
        self._client = client
        self._now = now

    def sources(self, profile: str) -> Sequence[Source]:
        """A `profile` that is named is the only one that counts."""
        files = partial(self._files, profile)
        if profile:
            return (files,)
        return (self._variables, self._web_identity, files, self._container, self._machine)

    async def _variables(self) -> Keys | None:
        key, secret = (self._get("AWS_ACCESS_KEY_ID"), self._get("AWS_SECRET_ACCESS_KEY"))
        if not (key and secret):
            return None
        return Keys(key, Secret(secret), Secret(self._get("AWS_SESSION_TOKEN")))

    async def _files(self, profile: str) -> Keys | None:
        name = profile or self._get("AWS_PROFILE") or "default"
        found = await asyncio.to_thread(self._profile, name)
        if not found and name != "default":
            raise Invalid(
                f"there are no keys of the profile {name!r} in ~/.aws/credentials and"
                " ~/.aws/config; check AmazonS3.AWSConfig.Profile, or AWS_PROFILE"
            )
        return found

    def _profile(self, name: str) -> Keys | None:
        for variable, file, section in (
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
            ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ):
            given = self._get(variable) or f"{self._get('HOME') or '~'}/.aws/{file}"
            path = Path(given).expanduser()
            parser = ConfigParser(interpolation=None, default_section="")
            try:
                parser.read_string(path.read_text(encoding="utf-8"), str(path))
            except OSError:
                continue
            except (ConfigError, UnicodeDecodeError) as error:
                raise Invalid(f"{path} is not a file of AWS profiles") from error
            one = dict(parser.items(section)) if parser.has_section(section) else {}
            key, secret = one.get("aws_access_key_id"), one.get("aws_secret_access_key")
            if key and secret:
                token = Secret(one.get("aws_session_token", ""))
                return Keys(key, Secret(secret), token, self._now() + FILES_LAST)
        return None

    async def _web_identity(self) -> Keys | None:
        """A token in a file that Amazon takes for a role, as Kubernetes gives it."""
        file, role = self._get("AWS_WEB_IDENTITY_TOKEN_FILE"), self._get("AWS_ROLE_ARN")
        if not (file and role):
            return None
        try:
            token = await asyncio.to_thread(Path(file).read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: {error}") from error
        region = self._get("AWS_REGION") or self._get("AWS_DEFAULT_REGION")
        host = f"sts.{region}.amazonaws.com" if region else "sts.amazonaws.com"
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": self._get("AWS_ROLE_SESSION_NAME") or "funnel",
            "WebIdentityToken": token.strip(),
        }
        url = self._get("AWS_ENDPOINT_URL_STS") or f"https://{host}"
        return _assumed(await self._asked("POST", url, FORM, urlencode(form).encode()))

    async def _container(self) -> Keys | None:
        """What a service of Amazon's that runs this container offers it."""
        path, url = (
            self._get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            self._get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        )
        if not (path or url):
            return None
        url = f"{CONTAINER}{path}" if path else url
        if not _is_near(url):
            raise Invalid("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor on this machine")
        token = self._get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if file := self._get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            try:
                token = (await asyncio.to_thread(Path(file).read_text, "utf-8")).strip()
            except (OSError, UnicodeDecodeError) as error:
                raise Invalid(
                    f"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: {error}"
                ) from error
        headers = {"Authorization": token} if token else {}
        return _offered(await self._asked("GET", url, headers=headers))

    async def _machine(self) -> Keys | None:
        """The role of a virtual machine of Amazon's, which says that it is one within a second."""
        if self._get("AWS_EC2_METADATA_DISABLED").lower() == "true":
            return None
        base = (self._get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or MACHINE).rstrip("/")
        asking = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
        try:
            async with asyncio.timeout(PRESENCE):
                token = await self._asked("PUT", f"{base}/latest/api/token", headers=asking)
        except (TimeoutError, Unavailable, Denied):
            return None
        headers = {"X-aws-ec2-metadata-token": token}
        try:
            role = await self._asked("GET", f"{base}{ROLE}", headers=headers)
        except Denied:
            return None
        name = role.splitlines()[0] if role else ""
        return _offered(await self._asked("GET", f"{base}{ROLE}{name}", headers=headers))

    async def _asked(
        self, method: str, url: str, headers: Mapping[str, str] = NONE, body: bytes | None = None
    ) -> str:
        host = urlsplit(url).netloc
        try:
            origin, target = place_of(url)
            async with (
                asyncio.timeout(PATIENCE),
                self._client.request(method, origin, target, headers, body) as answer,
            ):
                text = await answer.text()
        except OSError as error:
            raise Unavailable(f"no credentials came from {host}: {error}") from error
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(f"no credentials came from {host}: it answers {answer.status}")
        if answer.status != 200:
            raise Denied(f"no credentials came from {host}: it answers {answer.status}")
        return text

    def _get(self, name: str) -> str:
        return self._environ.get(name, "")


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    near = {"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in near)


def _offered(text: str) -> Keys:
    try:
        found = json.decode(text, type=Offered)
    except (DecodeError, ValidationError):
        raise Unavailable("what came as credentials of this machine is none") from None
    secret, token = Secret(found.secret_access_key), Secret(found.token)
    return Keys(found.access_key_id, secret, token, _utc(found.expiration))


def _assumed(text: str) -> Keys:
    key, secret = element("AccessKeyId", text), Secret(element("SecretAccessKey", text))
    if not (key and secret):
        raise Unavailable("what came as credentials of a role is none")
    until = element("Expiration", text)
    return Keys(
        key,
        secret,
        Secret(element("SessionToken", text)),
        _utc(datetime.fromisoformat(until)) if until else None,
    )


def _utc(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=when.tzinfo or UTC) if when else None
