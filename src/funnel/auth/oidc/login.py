"""The login of browsers: the authorization code flow (OpenID Connect Core 1.0, 3.1)."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from typing import Final
from urllib.parse import urlencode, urlsplit

from cryptography.fernet import Fernet, InvalidToken
from msgspec import DecodeError, json

from funnel.auth.oidc.bearer import Bearer
from funnel.auth.oidc.provider import Description, Provider
from funnel.auth.settings import OidcAuth
from funnel.core.error import Unauthenticated
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.ports import Clock

LASTS: Final = 600
"""Seconds from the beginning of a login to its end."""
BEGIN_ANEW: Final = "this login was not begun here, or is over: begin anew at /login"


class _Begun(Value):
    """What a browser keeps while it is at the provider, where only we can read it."""

    state: str
    nonce: str
    verifier: str


class OidcLogin:
    """
    Each login has a state, a nonce and a verifier of its own (PKCE, RFC 7636), kept in a cookie.

    The cookie is sealed with a key from the client's secret, so that another server of the same
    settings, or this one after a restart, can end what was begun.
    """

    def __init__(self, settings: OidcAuth, provider: Provider, bearer: Bearer, now: Clock) -> None:
        self._settings = settings
        self._provider = provider
        self._bearer = bearer
        self._now = now
        secret = settings.client_secret.reveal().encode()
        key = hmac.digest(secret, b"funnel login", "sha256")
        self._seal = Fernet(urlsafe_b64encode(key))

    @property
    def path(self) -> str:
        """Of the login, as browsers reach it."""
        return urlsplit(self._settings.redirect_url).path

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self._settings.redirect_url.startswith("https:")

    async def begin(self) -> tuple[str, str]:
        """Where the browser logs in, and what it must bring back from there."""
        described = await self._bearer.described.get()
        begun = _Begun(*(secrets.token_urlsafe(32) for _ in range(3)))
        challenge = hashlib.sha256(begun.verifier.encode()).digest()
        settings = self._settings
        asked = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": settings.redirect_url,
            "scope": " ".join(dict.fromkeys(["openid", *settings.require_scope.split()])),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **self._resource,
        }
        sealed = self._seal.encrypt_at_time(json.encode(begun), self._seconds()).decode()
        joint = "&" if "?" in described.authorization_endpoint else "?"
        return f"{described.authorization_endpoint}{joint}{urlencode(asked)}", sealed

    async def end(self, code: str, state: str, issuer: str, sealed: str) -> tuple[Secret, int]:
        """
        The token of whom the provider sends back, and the seconds for which it is good.

        Raises `Unauthenticated`; an empty `issuer` was not given (RFC 9207).
        """
        begun = self._begun(sealed)
        described = await self._bearer.described.get()
        if not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise Unauthenticated(BEGIN_ANEW)
        if issuer not in {"", described.issuer}:
            raise Unauthenticated("this login is another provider's")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_url,
            "code_verifier": begun.verifier,
            **self._resource,
        }
        return await self._checked(described, begun, form)

    async def _checked(
        self, described: Description, begun: _Begun, form: dict[str, str]
    ) -> tuple[Secret, int]:
        given = await self._provider.exchange(described, form)
        id_token, access_token = str(given.get("id_token")), str(given.get("access_token"))
        told = await self._bearer.signed(id_token, self._settings.client_id, frozenset())
        if told.get("nonce") != begun.nonce:
            raise Unauthenticated(BEGIN_ANEW)
        if told.get("azp", self._settings.client_id) != self._settings.client_id:
            raise Unauthenticated("this login is another client's")
        token, caller = await self._first_good(access_token, id_token)
        if caller != told["sub"]:
            raise Unauthenticated("the tokens of this login are not of one user")
        seconds = told["exp"] - self._now().timestamp()
        if token == access_token and isinstance(given.get("expires_in"), int):
            seconds = given["expires_in"]
        return Secret(token), max(0, int(seconds))

    async def _first_good(self, *tokens: str) -> tuple[str, str]:
        """A token with which the user gets in: some providers' access tokens say nothing to us."""
        *tried, last = tokens
        for token in tried:
            try:
                return token, (await self._bearer.caller_of(token)).name
            except Unauthenticated:
                continue
        return last, (await self._bearer.caller_of(last)).name

    def _begun(self, sealed: str) -> _Begun:
        try:
            text = self._seal.decrypt_at_time(sealed.encode(), LASTS, self._seconds())
            return json.decode(text, type=_Begun)
        except (InvalidToken, DecodeError):
            raise Unauthenticated(BEGIN_ANEW) from None

    @property
    def _resource(self) -> dict[str, str]:
        """Names us to the provider, where our audience is a URL (RFC 8707)."""
        audience = self._settings.require_audience
        return {"resource": audience} if "://" in audience else {}

    def _seconds(self) -> int:
        return int(self._now().timestamp())
