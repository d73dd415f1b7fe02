"""Services that give credentials for a while: those of a machine, of roles, of people."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode, urlsplit

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.core.secret import Secret, secret_of
from funnel.core.value import Value
from funnel.net.client import Client, place_of
from funnel.ports import Clock
from funnel.storage.s3.sign import Keys, Request, signed
from funnel.storage.xml import element

PATIENCE: Final = 10.0
"""Seconds for an answer."""
GLOBAL: Final = "us-east-1"
"""The region of the service that knows no region."""


class Offered(Value, kw_only=True, rename="pascal"):
    """As machines, containers and programs of a profile give them."""

    access_key_id: str
    secret_access_key: str
    token: str = ""
    session_token: str = ""
    expiration: datetime | None = None

    def keys(self) -> Keys:
        token = Secret(self.token or self.session_token)
        return Keys(
            self.access_key_id, Secret(self.secret_access_key), token, _utc(self.expiration)
        )


class _OfPeople(Value, kw_only=True, rename="camel"):
    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expiration: int = 0
    """Milliseconds since 1970."""


class _OfPerson(Value, kw_only=True, rename="camel"):
    role_credentials: _OfPeople


class Renewed(Value, kw_only=True, rename="camel"):
    """A login that goes on; it may have something new to be renewed by."""

    access_token: Secret
    expires_in: int
    """Seconds."""
    refresh_token: Secret = Secret()


class Issuers:
    """`environ` may say that they are elsewhere."""

    def __init__(self, environ: Mapping[str, str], client: Client, now: Clock) -> None:
        self._environ = environ
        self._client = client
        self._now = now

    async def asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> str:
        """Raises `Denied`, `Invalid` or `Unavailable`, with what the service says of it."""
        host = urlsplit(url).netloc
        try:
            origin, target = place_of(url)
            async with (
                asyncio.timeout(PATIENCE),
                self._client.request(method, origin, target, headers, body) as answer,
            ):
                text = await answer.text()
        except OSError as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"no credentials came from {host}: {why}") from error
        except ValueError as error:
            raise Invalid(f"credentials cannot be asked for at {host}: {error}") from error
        if answer.status == 200:
            return text
        kind = Unavailable if answer.status == 429 or answer.status >= 500 else Denied
        said = ": ".join(filter(None, (element("Code", text), element("Message", text))))
        raise kind(f"no credentials came from {host}: it answers {answer.status} {said}".rstrip())

    async def role(self, form: Mapping[str, str], region: str, keys: Keys | None = None) -> Keys:
        """What Amazon's service of tokens gives for a form, signed by who has the keys."""
        endpoint = self._environ.get("AWS_ENDPOINT_URL_STS") or _token_service(region)
        url = f"{endpoint.rstrip('/')}/"
        body = urlencode({"Version": "2011-06-15", **form}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        if keys:
            request = Request(
                method="POST",
                host=urlsplit(url).netloc,
                path=urlsplit(url).path,
                query={},
                headers=headers,
                body=sha256(body).hexdigest(),
            )
            headers = signed(request, keys, region or GLOBAL, self._now(), service="sts")
        return _assumed(await self.asked("POST", url, headers, body))

    async def person(self, token: Secret, account: str, role: str, region: str) -> Keys:
        """What the portal gives to who has logged in."""
        host = f"https://portal.sso.{region}.{_domain(region)}"
        endpoint = self._environ.get("AWS_ENDPOINT_URL_SSO") or host
        query = urlencode({"account_id": account, "role_name": role})
        text = await self.asked(
            "GET",
            f"{endpoint.rstrip('/')}/federation/credentials?{query}",
            {"x-amz-sso_bearer_token": token.reveal()},
        )
        try:
            found = json.decode(text, type=_OfPerson).role_credentials
        except (DecodeError, ValidationError):
            raise Unavailable("what came as credentials of a role is none") from None
        until = datetime.fromtimestamp(found.expiration / 1000, UTC) if found.expiration else None
        secret, session = Secret(found.secret_access_key), Secret(found.session_token)
        return Keys(found.access_key_id, secret, session, until)

    async def renewed(self, region: str, client: str, secret: Secret, refresh: Secret) -> Renewed:
        """What the service of logins gives to who may go on without a browser."""
        host = f"https://oidc.{region}.{_domain(region)}"
        endpoint = self._environ.get("AWS_ENDPOINT_URL_SSO_OIDC") or host
        body = {
            "grantType": "refresh_token",
            "clientId": client,
            "clientSecret": secret.reveal(),
            "refreshToken": refresh.reveal(),
        }
        url, headers = f"{endpoint.rstrip('/')}/token", {"Content-Type": "application/json"}
        text = await self.asked("POST", url, headers, json.encode(body))
        try:
            return json.decode(text, type=Renewed, dec_hook=secret_of)
        except (DecodeError, ValidationError):
            raise Unavailable("what came as a renewed login is none") from None


def offered(text: str | bytes, whose: str) -> Keys:
    try:
        return json.decode(text, type=Offered).keys()
    except (DecodeError, ValidationError):
        raise Unavailable(f"what came as credentials of {whose} is none") from None


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


def _token_service(region: str) -> str:
    return f"https://sts.{region}.{_domain(region)}" if region else "https://sts.amazonaws.com"


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _utc(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=when.tzinfo or UTC) if when else None
