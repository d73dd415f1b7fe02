"""Who shows a bearer token of the provider (RFC 6750)."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from funnel.auth.oidc.claims import (
    Claims,
    Rules,
    check,
    check_scopes,
    check_time,
    has_claim,
    refused,
    subject_of,
    words_of,
)
from funnel.auth.oidc.jws import LONGEST, Key, Token, is_signed_by, read_token
from funnel.auth.oidc.kept import Kept
from funnel.auth.oidc.provider import Description, Provider
from funnel.auth.settings import OidcAuth
from funnel.core.access import Caller
from funnel.core.error import Busy, Unauthenticated
from funnel.ports import Clock

log = logging.getLogger(__name__)

FRESH: Final = 900.0
"""Seconds after which the provider's keys are fetched anew."""
PAUSE: Final = 10.0
"""Seconds between two fetches, however many tokens name keys that nobody knows."""
REMEMBERED: Final = 60.0
"""Seconds for which the provider is not asked again about a token that it knows."""
MOST_REMEMBERED: Final = 4096
WAITING: Final = 64
"""Questions about tokens that may wait for their turn."""


class Bearer:
    """Believes what the provider has signed for us, or says of a token that is none of its JWTs."""

    def __init__(
        self, settings: OidcAuth, provider: Provider, now: Clock, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._now = now
        self._clock = clock
        self.described = Kept(provider.description, fresh=FRESH, pause=PAUSE, clock=clock)
        self.keys = Kept(self._fetch_keys, fresh=FRESH, pause=PAUSE, clock=clock)
        self._asked: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()
        self._waiting = 0

    async def caller_of(self, token: str) -> Caller:
        """Raises `Unauthenticated`, and `Unavailable` where only the provider could tell."""
        try:
            claims = await (self._of_jwt(token) if token.count(".") == 2 else self._opaque(token))
        except Unauthenticated as error:
            log.info("a bearer token is refused: %s", error.__cause__)
            raise
        subject = subject_of(claims)
        return Caller(name=subject, administrator=self._is_admin(subject, claims))

    async def signed(self, text: str, audience: str, scopes: frozenset[str]) -> Claims:
        """What a token says that the provider has signed for this audience."""
        token = read_token(text)
        if token.algorithm not in self._settings.algorithms:
            raise refused("signed in a way that is not taken")
        if not await self._is_signed(token):
            raise refused("not signed by a key of the provider")
        rules = await self._rules(audience, scopes)
        check(token.claims, rules, self._now().timestamp())
        return token.claims

    async def _of_jwt(self, text: str) -> Claims:
        return await self.signed(text, self._audience, self._scopes)

    async def _is_signed(self, token: Token) -> bool:
        """Looks for new keys where none has the name that the token gives."""
        keys = _fitting(await self.keys.get(), token)
        if not keys:
            keys = _fitting(await self.keys.renewed(), token)
        return any(is_signed_by(token, key) for key in keys)

    async def _opaque(self, token: str) -> Claims:
        """What the provider says of a token that only it can read."""
        described = await self.described.get()
        if not (described.introspection_endpoint and self._settings.client_secret):
            raise refused("no JWT, and the provider cannot be asked about it")
        if not 0 < len(token) <= LONGEST or not token.isascii():
            raise refused("too long, or not ASCII")
        claims = await self._remembered(described, token)
        rules = await self._rules(self._audience, self._scopes)
        if claims.get("iss", rules.issuer) != rules.issuer:
            raise refused("of another issuer")
        if not self._is_for_us(claims):
            raise refused("not for us")
        check_time(claims, rules.leeway, self._now().timestamp())
        check_scopes(claims, rules)
        return claims

    def _is_for_us(self, claims: Claims) -> bool:
        """Without an audience in the settings, what was given to us as a client is."""
        settings = self._settings
        is_ours = not settings.require_audience and claims.get("client_id") == settings.client_id
        return is_ours or self._audience in words_of(claims.get("aud"))

    async def _remembered(self, described: Description, token: str) -> Claims:
        digest = hashlib.sha256(token.encode()).digest()
        until, claims = self._asked.get(digest, (0.0, {}))
        if until > self._clock():
            return claims
        claims = await self._ask(described, token)
        if claims.get("active") is not True:
            raise refused("not active, says the provider")
        self._asked[digest] = self._clock() + REMEMBERED, claims
        if len(self._asked) > MOST_REMEMBERED:
            self._asked.popitem(last=False)
        return claims

    async def _ask(self, described: Description, token: str) -> Claims:
        if self._waiting >= WAITING:
            raise Busy
        self._waiting += 1
        try:
            return await self._provider.introspect(described, token)
        finally:
            self._waiting -= 1

    async def _rules(self, audience: str, scopes: frozenset[str]) -> Rules:
        return Rules(
            issuer=(await self.described.get()).issuer,
            audience=audience,
            scopes=scopes,
            leeway=self._settings.leeway.total_seconds(),
        )

    async def _fetch_keys(self) -> Sequence[Key]:
        return await self._provider.keys(await self.described.get())

    @property
    def _audience(self) -> str:
        return self._settings.require_audience or self._settings.client_id

    @property
    def _scopes(self) -> frozenset[str]:
        return frozenset(self._settings.require_scope.split())

    def _is_admin(self, subject: str, claims: Claims) -> bool:
        name, _, value = self._settings.admin_claim.partition("=")
        return subject in self._settings.admins or (bool(name) and has_claim(claims, name, value))

    async def close(self) -> None:
        await asyncio.gather(self.described.close(), self.keys.close())


def _fitting(keys: Sequence[Key], token: Token) -> Sequence[Key]:
    """Those that may have signed it; without a name, any of its kind."""
    return [key for key in keys if key.fits(token.algorithm) and token.key_id in (None, key.kid)]
