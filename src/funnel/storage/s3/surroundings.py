"""Credentials of the environment of this process, as Amazon's own programs look for them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.net.client import Client
from funnel.ports import Clock
from funnel.storage.s3.credentials import Source
from funnel.storage.s3.issuers import Issuers, offered
from funnel.storage.s3.profiles import Profiles
from funnel.storage.s3.sign import Keys

MACHINE: Final = "http://169.254.169.254"
CONTAINER: Final = "http://169.254.170.2"
PRESENCE: Final = 1.0
"""Seconds for a machine of Amazon's to say that it is one."""
ROLE: Final = "/latest/meta-data/iam/security-credentials/"


class Surroundings:
    """`environ` are the variables of this process."""

    def __init__(self, environ: Mapping[str, str], client: Client, now: Clock) -> None:
        self._environ = environ
        self._issuers = Issuers(environ, client, now)
        others: Mapping[str, Source] = {
            "Environment": self._variables,
            "EcsContainer": self._container,
            "Ec2InstanceMetadata": self._machine,
        }
        self._profiles = Profiles(environ, self._issuers, now, others)

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
        found = await self._profiles.keys(name)
        if not found and name != "default":
            raise Invalid(
                f"there are no keys of the profile {name!r} in ~/.aws/credentials and"
                " ~/.aws/config; check AmazonS3.AWSConfig.Profile, or AWS_PROFILE"
            )
        return found

    async def _web_identity(self) -> Keys | None:
        file, role = self._get("AWS_WEB_IDENTITY_TOKEN_FILE"), self._get("AWS_ROLE_ARN")
        if not (file and role):
            return None
        name = self._get("AWS_ROLE_SESSION_NAME") or "funnel"
        region = self._get("AWS_REGION") or self._get("AWS_DEFAULT_REGION")
        form = {"RoleArn": role, "RoleSessionName": name}
        return await self._profiles.web_identity(file, form, region)

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
        return offered(await self._issuers.asked("GET", url, headers=headers), "this container")

    async def _machine(self) -> Keys | None:
        """The role of a virtual machine of Amazon's, which says that it is one within a second."""
        if self._get("AWS_EC2_METADATA_DISABLED").lower() == "true":
            return None
        base = (self._get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or MACHINE).rstrip("/")
        asking = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
        try:
            async with asyncio.timeout(PRESENCE):
                token = await self._issuers.asked("PUT", f"{base}/latest/api/token", headers=asking)
        except (TimeoutError, Unavailable, Denied):
            return None
        headers = {"X-aws-ec2-metadata-token": token}
        try:
            role = await self._issuers.asked("GET", f"{base}{ROLE}", headers=headers)
        except Denied:
            return None
        name = role.splitlines()[0] if role else ""
        given = await self._issuers.asked("GET", f"{base}{ROLE}{name}", headers=headers)
        return offered(given, "this machine")

    def _get(self, name: str) -> str:
        return self._environ.get(name, "")


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    near = {"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in near)
