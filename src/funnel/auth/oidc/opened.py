"""An identity provider in use."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp

from funnel.auth.oidc.bearer import Bearer
from funnel.auth.oidc.login import OidcLogin
from funnel.auth.oidc.provider import SECONDS, Provider
from funnel.auth.settings import OidcAuth
from funnel.core.access import Caller
from funnel.plugins import Host
from funnel.ports import Credentials, Identity, Login


class Oidc(Identity):
    def __init__(self, bearer: Bearer, login: Login | None) -> None:
        self._bearer = bearer
        self._login = login

    @property
    def challenge(self) -> str:
        return 'Bearer realm="Funnel"'

    @property
    def login(self) -> Login | None:
        return self._login

    async def identify(self, credentials: Credentials) -> Caller | None:
        scheme, _, token = credentials.authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return await self._bearer.caller_of(token.strip())


@asynccontextmanager
async def opened(settings: OidcAuth, host: Host) -> AsyncGenerator[Oidc]:
    """A provider that does not answer yet is asked again when somebody comes."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        provider = Provider(settings, session)
        bearer = Bearer(settings, provider, host.now, asyncio.get_running_loop().time)
        login = OidcLogin(settings, provider, bearer, host.now) if settings.redirect_url else None
        try:
            yield Oidc(bearer, login)
        finally:
            await bearer.close()
