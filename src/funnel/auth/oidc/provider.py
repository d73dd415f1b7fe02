"""What is asked of an identity provider over HTTP."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
from msgspec import DecodeError, ValidationError, convert, json

from funnel.auth.oidc.jws import Key, read_keys
from funnel.auth.settings import OidcAuth
from funnel.core.error import Unauthenticated, Unavailable
from funnel.core.value import Value

SECONDS: Final = 10
"""For one answer of the provider."""
LARGEST: Final = 1024 * 1024
"""Bytes of one answer."""
AT_ONCE: Final = 16


class Description(Value, kw_only=True):
    """What we use of OpenID Connect Discovery 1.0, section 3."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    introspection_endpoint: str = ""


class Provider:
    """Every call raises `Unavailable` where the provider does not give what it should."""

    def __init__(self, settings: OidcAuth, session: aiohttp.ClientSession) -> None:
        self._url = settings.service_config_url
        named = (settings.client_id, settings.client_secret.reveal())
        login = ":".join(map(quote_plus, named)).encode()
        self._login = {"Authorization": f"Basic {b64encode(login).decode()}"}
        self._session = session
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def description(self) -> Description:
        given = await self._get(self._url)
        try:
            return convert(given, Description)
        except ValidationError as error:
            raise Unavailable(f"{self._url} does not describe a provider: {error}") from error

    async def keys(self, description: Description) -> Sequence[Key]:
        given = await self._get(description.jwks_uri)
        try:
            return read_keys(given)
        except ValueError as error:
            raise Unavailable(f"{description.jwks_uri}: {error}") from error

    async def introspect(self, description: Description, token: str) -> Mapping[str, Any]:
        """What the provider says of a token (RFC 7662); some do not take every text for one."""
        url, form = description.introspection_endpoint, {"token": token}
        status, body = await self._send("POST", url, form)
        return {"active": False} if status == 400 else _read(url, status, body)

    async def exchange(
        self, description: Description, form: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """
        Tokens for the code that a browser has brought (RFC 6749, 4.1.3).

        Raises `Unauthenticated` where the provider refuses.
        """
        url = description.token_endpoint
        status, body = await self._send("POST", url, form)
        if status == 400:
            raise Unauthenticated("the identity provider does not accept this login")
        return _read(url, status, body)

    async def _get(self, url: str) -> Mapping[str, Any]:
        return _read(url, *await self._send("GET", url))

    async def _send(
        self, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """What goes with our secret is not redirected."""
        headers = self._login if form else None
        asked = self._session.request(
            method, url, data=form, headers=headers, allow_redirects=form is None
        )
        try:
            async with self._turns, asked as answer:
                return answer.status, await _body(answer)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"the identity provider does not answer at {url}: {why}") from error


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
    return bytes(body)


def _read(url: str, status: int, body: bytes) -> Mapping[str, Any]:
    if status != 200:
        raise Unavailable(f"the identity provider answers {status} at {url}")
    try:
        return json.decode(body, type=dict[str, Any])
    except (DecodeError, RecursionError) as error:
        raise Unavailable(f"the identity provider's answer at {url} is no JSON object") from error
